"""What tooltips say in German: English as it stands in the code -> German."""

from __future__ import annotations

TOOLTIPS = {
    "Let the target mesh speak the audio file from the current frame on": (
        "Das Ziel-Mesh vom aktuellen Bild an die Tondatei sprechen lassen"
    ),
    "Stop this run and leave the scene as it is; those that wait go on": (
        "Diesen Lauf anhalten und die Szene lassen, wie sie ist; die wartenden gehen weiter"
    ),
    "Stop the run that is going and all that wait, and leave the scene as it is": (
        "Den laufenden und alle wartenden Läufe anhalten und die Szene lassen, wie sie ist"
    ),
    "Write the target's animation anew as Output and Tuning say; the model does not run": (
        "Die Animation des Ziels neu schreiben, wie Ausgabe und Abstimmung es sagen; das Modell läuft nicht"
    ),
    "Set all tuning sliders back, so that the target moves as the model made it": (
        "Alle Regler der Abstimmung zurücksetzen, sodass das Ziel sich bewegt, wie das Modell es ergab"
    ),
    "Remove the keys, curves and sound that this extension added for the target; all else stays as it is": (
        "Schlüssel, Kurven und Ton entfernen, die diese Erweiterung dem Ziel gab; alles andere bleibt"
    ),
    "Where the speech comes from": "Woher die Sprache kommt",
    "What is heard of the Sequencer's active sound strip, where it is heard": (
        "Was vom aktiven Tonstreifen des Sequenzers zu hören ist, dort, wo es zu hören ist"
    ),
    "What is heard of a certain sound strip, where it is heard": (
        "Was von einem bestimmten Tonstreifen zu hören ist, dort, wo es zu hören ist"
    ),
    "A sound file, from the current frame on; it is added to the Sequencer": (
        "Eine Tondatei, vom aktuellen Bild an; sie kommt in den Sequenzer"
    ),
    "Sound strip with the speech": "Tonstreifen mit der Sprache",
    "Recording of the speech": "Aufnahme der Sprache",
    "Head that shall speak": "Der Kopf, der sprechen soll",
    "Model bundle that turns speech into motion": "Das Modell, das Sprache in Bewegung verwandelt",
    "Folder of a model bundle": "Ordner eines Modells",
    "Speaking style that Mix leads to": "Sprechweise, zu der die Mischung führt",
    "Where the model runs": "Wo das Modell läuft",
    "The device chosen in the preferences": "Das Gerät, das die Einstellungen nennen",
    "Number that repeats the same drawing of motions; without variation it does nothing": (
        "Zahl, die dieselbe Auswahl von Bewegungen wiederholt; ohne Variation bewirkt sie nichts"
    ),
    "Show the moving face in a corner of the 3D View while the model runs": (
        "Das bewegte Gesicht in einer Ecke der 3D-Ansicht zeigen, während das Modell läuft"
    ),
    "What is written onto the mesh": "Was auf das Mesh geschrieben wird",
    "One shape key per frame: exact, and large in the file": (
        "Ein Formschlüssel je Bild: genau, und groß in der Datei"
    ),
    "A few weighted shape keys with curves: small, within a chosen error": (
        "Wenige gewichtete Formschlüssel mit Kurven: klein, innerhalb eines gewählten Fehlers"
    ),
    "Values of the shape keys that the mesh has, such as ARKit's; on any mesh": (
        "Werte der Formschlüssel, die das Mesh schon hat, etwa die von ARKit; auf jedem Mesh"
    ),
    "Play the animation from an NLA track of its own instead of as the active action": (
        "Die Animation aus einer eigenen NLA-Spur abspielen statt als aktive Aktion"
    ),
    "How far lips that are nearly shut get shut; they never go through each other": (
        "Wie weit sich fast geschlossene Lippen schließen; sie durchdringen sich nie"
    ),
    "Seconds by which the face moves later than the sound; negative is earlier": (
        "Um wie viele Sekunden sich das Gesicht später als der Ton bewegt; negativ ist früher"
    ),
    "Shape key that follows the shape; empty for none": (
        "Formschlüssel, der der Form folgt; leer für keinen"
    ),
    "Factor from the shape's weight to the key's value": (
        "Faktor vom Gewicht der Form zum Wert des Schlüssels"
    ),
    "Use this shape; without it the others take over what they can": (
        "Diese Form benutzen; ohne sie übernehmen die anderen, was sie können"
    ),
    "The shape's weight goes no lower": "Tiefer geht das Gewicht der Form nicht",
    "The shape's weight goes no higher": "Höher geht das Gewicht der Form nicht",
    "Factor on the shape's weight, within its limits": (
        "Faktor auf das Gewicht der Form, innerhalb seiner Grenzen"
    ),
    "Added to the shape's weight, within its limits": (
        "Kommt zum Gewicht der Form hinzu, innerhalb seiner Grenzen"
    ),
    "Mesh driven together with the target": "Mesh, das zusammen mit dem Ziel bewegt wird",
    "Which shapes the motion is solved for": "Für welche Formen die Bewegung gelöst wird",
    "The 52 shapes of Apple's face tracking": "Die 52 Formen von Apples Gesichtserfassung",
    "The 15 mouth shapes of the Oculus lip sync": "Die 15 Mundformen von Oculus",
    "Find the keys by their names, and list them for editing": (
        "Die Schlüssel nach ihren Namen finden und zum Bearbeiten auflisten"
    ),
    "Add a row, so that the chosen shape drives one more key": (
        "Eine Zeile hinzufügen, sodass die gewählte Form einen weiteren Schlüssel bewegt"
    ),
    "Drive the target alone; the other meshes are as they were": (
        "Nur das Ziel bewegen; die anderen Meshes sind, wie sie waren"
    ),
    "Choose another seed by chance, for another take of the same speech": (
        "Einen anderen Startwert würfeln, für eine andere Fassung derselben Sprache"
    ),
    "Set Variation back to what the chosen model was made for": (
        "Die Variation auf das zurücksetzen, wofür das gewählte Modell gemacht ist"
    ),
    "Keep the settings of the scene and the target, or remove a kept one": (
        "Die Einstellungen von Szene und Ziel aufheben, oder aufgehobene löschen"
    ),
    "Show the preferences of this extension, where the engine is chosen and set up": (
        "Die Einstellungen dieser Erweiterung zeigen, wo die Engine gewählt und eingerichtet wird"
    ),
    "Where the libraries that run the model (torch and others) come from": (
        "Woher die Bibliotheken kommen, mit denen das Modell läuft (torch und andere)"
    ),
    "An environment that the extension sets up, on demand, in its own folder": (
        "Eine Umgebung, die die Erweiterung auf Wunsch in ihrem eigenen Ordner einrichtet"
    ),
    "A Python of your own that has the libraries": "Ein eigenes Python, das die Bibliotheken hat",
    "Make an environment for the model in the extension's own folder; asks before it downloads": (
        "Im Ordner der Erweiterung eine Umgebung für das Modell einrichten; fragt vor dem Herunterladen"
    ),
    "Stop the set-up and remove what it has made so far": (
        "Das Einrichten anhalten und entfernen, was bisher entstand"
    ),
    "Delete the managed environment and all that was installed into it": (
        "Die verwaltete Umgebung mit allem löschen, was darin installiert ist"
    ),
    "Look at everything a run needs, and generate a second of speech": (
        "Alles ansehen, was ein Lauf braucht, und eine Sekunde Sprache erzeugen"
    ),
    "Copy the report of the check, ready to paste; your home folder's name is left out": (
        "Den Bericht der Prüfung kopieren; der Name Ihres Benutzerordners bleibt weg"
    ),
    "The libraries in Blender's own Python, as a full package brings them": (
        "Die Bibliotheken in Blenders eigenem Python, wie ein volles Paket sie mitbringt"
    ),
    "Python that has torch and the other libraries; it is run once to see what it has": (
        "Python mit torch und den anderen Bibliotheken; es wird einmal ausgeführt, um zu sehen, was es hat"
    ),
    "The processor or graphics card that the managed engine is going to use": (
        "Der Prozessor oder die Grafikkarte, womit die verwaltete Engine rechnen soll"
    ),
    "The smallest download, for any computer": "Am wenigsten herunterzuladen, für jeden Rechner",
    "Several GB, for NVIDIA graphics cards; on Windows it needs a package index that has it": (
        "Mehrere GB, für Grafikkarten von NVIDIA; unter Windows braucht es eine Paketquelle, die es hat"
    ),
    "Where torch comes from: the address of an index, such as PyTorch's own for NVIDIA cards on "
    "Windows, or a folder of wheels, which needs no network; empty is PyPI's, or the CPU's own on "
    "Linux": (
        "Woher torch kommt: die Adresse einer Paketquelle, etwa die von PyTorch für NVIDIA-Karten "
        "unter Windows, oder ein Ordner mit Wheels, der kein Netz braucht; leer ist die von PyPI, "
        "unter Linux die für Prozessoren"
    ),
    "Which process the model runs in": "In welchem Prozess das Modell läuft",
    "In a worker process, or inside Blender when it runs without a window": (
        "In einem eigenen Prozess, oder in Blender, wenn es ohne Fenster läuft"
    ),
    "A crash or lack of memory cannot harm the open scene": (
        "Ein Absturz oder Mangel an Speicher kann der offenen Szene nicht schaden"
    ),
    "Needs torch in Blender's own Python": "Braucht torch in Blenders eigenem Python",
    "The graphics card where torch can use it, else the processor": (
        "Die Grafikkarte, wo torch sie nutzen kann, sonst der Prozessor"
    ),
    "The processor": "Der Prozessor",
    "An NVIDIA graphics card": "Eine Grafikkarte von NVIDIA",
    "An Apple graphics card": "Eine Grafikkarte von Apple",
    "Folder of your own model bundles; empty uses the extension's user folder": (
        "Ordner Ihrer eigenen Modelle; leer ist es der Benutzerordner der Erweiterung"
    ),
    "Fetch the packages of the list and install them into the extension's own folder": (
        "Die Pakete der Liste holen und in den Ordner der Erweiterung installieren"
    ),
    "Use only what is heard between the scene's first and last frame, or in its preview range where "
    "that is used": (
        "Nur nehmen, was zwischen erstem und letztem Bild der Szene zu hören ist, oder in ihrem "
        "Vorschaubereich, wo er benutzt wird"
    ),
    "How much of the second style is spoken: 0 is the first alone, 1 the second alone; keyframes are "
    "followed through the speech": (
        "Wie viel vom zweiten Stil gesprochen wird: 0 ist der erste allein, 1 der zweite allein; "
        "Keyframes gelten durch die Sprache hindurch"
    ),
    "How freely motions are drawn; 0 always takes the likeliest one, and until you change it this is "
    "what the model brings along": (
        "Wie frei Bewegungen gezogen werden; 0 nimmt stets die wahrscheinlichste, und solange Sie es "
        "nicht ändern, gilt der Wert des Modells"
    ),
    "Largest distance in millimetres, of any vertex in any frame, from the exact motion, on the "
    "model's own head; as many keys are written as this takes": (
        "Größter Abstand in Millimetern, den ein Punkt in einem Bild von der genauen Bewegung hat, "
        "auf dem Kopf des Modells; dafür werden so viele Schlüssel geschrieben wie nötig"
    ),
    "Factor on the motion of this part of the face; 1 is as generated": (
        "Faktor auf die Bewegung dieses Teils des Gesichts; 1 ist wie erzeugt"
    ),
    "Smoothing of the motion of this part of the face over time, in seconds (standard deviation); it "
    "moves nothing earlier or later": (
        "Glättung der Bewegung dieses Teils des Gesichts über die Zeit, in Sekunden "
        "(Standardabweichung); sie verschiebt nichts"
    ),
    "Play the speech from its first frame, or stop playing": (
        "Die Sprache von ihrem ersten Bild an abspielen, oder anhalten"
    ),
    "Add the head that comes with the extension at the 3D cursor, and choose it as the target; it "
    "fits the default model and has the ARKit and viseme shape keys": (
        "Den Kopf der Erweiterung am 3D-Cursor hinzufügen und als Ziel wählen; er passt zum "
        "mitgelieferten Modell und hat die Formschlüssel von ARKit und für Viseme"
    ),
    "Blink as people do who speak: most often where a pause begins": (
        "Blinzeln wie Menschen, die sprechen: am häufigsten, wo eine Pause beginnt"
    ),
    "Blinks per minute on average, those that the model makes itself included": (
        "Lidschläge pro Minute im Mittel, die des Modells selbst mitgezählt"
    ),
    "How far the lids shut; 1 is entirely": "Wie weit sich die Lider schließen; 1 ist ganz",
    "Another number gives other ones": "Eine andere Zahl ergibt andere",
    "Turn the head a little as the voice grows loud and soft; in silence it rests": (
        "Den Kopf ein wenig drehen, wie die Stimme laut und leise wird; in der Stille ruht er"
    ),
    "Factor on the turns, which are a few degrees at 1": (
        "Faktor auf die Drehungen, die bei 1 wenige Grad betragen"
    ),
    "Object whose delta transform turns the head, such as an empty that head, eyes and teeth follow; "
    "without one it is the target itself": (
        "Objekt, dessen Delta-Transformation den Kopf dreht, etwa ein Empty, dem Kopf, Augen und "
        "Zähne folgen; ohne eines ist es das Ziel selbst"
    ),
    "Let the eyes hold whom they look at while the head moves, and flick a little": (
        "Die Augen halten, wen sie ansehen, während der Kopf sich bewegt, und springen ein wenig"
    ),
    "How much of the head's turn the eyes take back; 1 is all of it": (
        "Wie viel von der Drehung des Kopfes die Augen zurücknehmen; 1 ist alles"
    ),
    "Size of small jumps of the eyes; 0 is none": "Größe kleiner Sprünge der Augen; 0 ist keine",
    "Whom the eyes look at, from where each of them is, in every frame": (
        "Wen die Augen ansehen, jedes von seinem Ort aus, in jedem Bild"
    ),
    "What lies far ahead of the face as it stands at rest": (
        "Was weit vor dem Gesicht liegt, wie es in Ruhe steht"
    ),
    "The scene's camera, also where markers switch to another one": (
        "Die Kamera der Szene, auch wo Marker zu einer anderen wechseln"
    ),
    "The origin of an object, which may move": "Der Ursprung eines Objekts, das sich bewegen darf",
    "Object whose origin the eyes look at": "Objekt, dessen Ursprung die Augen ansehen",
    "Let this channel follow": "Diesen Kanal folgen lassen",
    "Shape that the channel follows, or a turn of the layer Head Motion in degrees: headYaw, headPitch, "
    "headRoll": (
        "Form, der der Kanal folgt, oder eine Drehung der Ebene Kopfbewegung in Grad: headYaw, headPitch, "
        "headRoll"
    ),
    "What follows the shape": "Was der Form folgt",
    "The bone goes along one of its own axes, on top of its pose": (
        "Der Knochen verschiebt sich entlang einer eigenen Achse, zusätzlich zu seiner Pose"
    ),
    "The bone turns about one of its own axes, on top of its pose": (
        "Der Knochen dreht sich um eine eigene Achse, zusätzlich zu seiner Pose"
    ),
    "The bone grows along one of its own axes, as a factor on its pose": (
        "Der Knochen wächst entlang einer eigenen Achse, als Faktor auf seine Pose"
    ),
    "A custom property gets the value": "Eine eigene Eigenschaft erhält den Wert",
    "Bone of the rig": "Knochen des Rigs",
    "Axis of the bone itself, as Display Axes shows it": (
        "Achse des Knochens selbst, wie „Achsen anzeigen“ sie zeigt"
    ),
    "Along the bone": "Den Knochen entlang",
    "Whose custom property it is": "Wessen eigene Eigenschaft es ist",
    "The rig's object": "Das Objekt des Rigs",
    "The rig's armature": "Die Armatur des Rigs",
    "A bone in Pose Mode": "Ein Knochen im Posenmodus",
    "Custom property with a number": "Eigene Eigenschaft mit einer Zahl",
    "Weight of the shape at which the channel begins to move": (
        "Gewicht der Form, bei dem der Kanal sich zu bewegen beginnt"
    ),
    "Weight of the shape from which on the channel moves no further": (
        "Gewicht der Form, von dem an der Kanal sich nicht weiter bewegt"
    ),
    "What the channel gets at Input Minimum: degrees of rotation, units of location, a factor of "
    "scale, or a property's value": (
        "Was der Kanal bei „Eingang Minimum“ erhält: Grad der Drehung, Einheiten der Position, einen "
        "Faktor der Skalierung oder den Wert einer Eigenschaft"
    ),
    "What the channel gets at Input Maximum: degrees of rotation, units of location, a factor of "
    "scale, or a property's value": (
        "Was der Kanal bei „Eingang Maximum“ erhält: Grad der Drehung, Einheiten der Position, einen "
        "Faktor der Skalierung oder den Wert einer Eigenschaft"
    ),
    "Object whose bones or custom properties follow; without one, the armature that deforms the "
    "target or is its parent": (
        "Objekt, dessen Knochen oder eigene Eigenschaften folgen; ohne eines die Armatur, die das "
        "Ziel verformt oder ihm übergeordnet ist"
    ),
    "Add a row, like the chosen one, for a bone or a custom property": (
        "Eine Zeile wie die gewählte hinzufügen, für einen Knochen oder eine eigene Eigenschaft"
    ),
    "Remove the chosen row; what it moved is as it was": (
        "Die gewählte Zeile entfernen; was sie bewegte, ist wie zuvor"
    ),
    "Remove all rows; what they moved is as it was": "Alle Zeilen entfernen; was sie bewegten, ist wie zuvor",
    "Let the rig's head bone turn as the layer Head Motion says, which is switched on; other rows stay": (
        "Den Kopfknochen des Rigs drehen, wie es die Ebene Kopfbewegung sagt, die dabei eingeschaltet wird; "
        "andere Zeilen bleiben"
    ),
    "Let the rig's jaw bone open and go aside, in place of the rows that there are": (
        "Den Kieferknochen des Rigs sich öffnen und zur Seite gehen lassen, anstelle der vorhandenen Zeilen"
    ),
    "Let jaw, lips, lids, brows and eyes of a rig that Rigify generated follow, in place of the "
    "present rows": (
        "Kiefer, Lippen, Lider, Brauen und Augen eines Rigs von Rigify folgen lassen, anstelle der "
        "vorhandenen Zeilen"
    ),
    "Write which keys, bones and properties follow which shapes into a file, for other rigs of this kind": (
        "In eine Datei schreiben, welche Schlüssel, Knochen und Eigenschaften welchen Formen folgen, "
        "für andere Rigs dieser Art"
    ),
    "Take from a file which keys, bones and properties follow which shapes": (
        "Aus einer Datei nehmen, welche Schlüssel, Knochen und Eigenschaften welchen Formen folgen"
    ),
    "Drive the selected meshes together with the target; with none selected, those of the same "
    "parent that have keys for it": (
        "Die ausgewählten Meshes zusammen mit dem Ziel bewegen; ist keines ausgewählt, die desselben "
        "übergeordneten Objekts, die Schlüssel dafür haben"
    ),
    "Put a face beside the target that shows in colours how far the keys miss the motion, on the "
    "model's own face, as root mean square over the clip": (
        "Neben das Ziel ein Gesicht stellen, das in Farben zeigt, wie weit die Schlüssel die "
        "Bewegung verfehlen, auf dem Gesicht des Modells, als quadratisches Mittel über den Clip"
    ),
    "Take the coloured face away again": "Das farbige Gesicht wieder entfernen",
    "Fit the model's face to a head of another topology, once; the mesh keeps the fit, and every "
    "later run uses it": (
        "Das Gesicht des Modells einmal an einen Kopf anderer Topologie anpassen; das Mesh behält "
        "die Anpassung, und jeder spätere Lauf nutzt sie"
    ),
    "Show the fitted face of the model as a wire over the mesh, or remove it again": (
        "Das angepasste Gesicht des Modells als Drahtgitter über dem Mesh zeigen, oder wieder entfernen"
    ),
    "Put a copy of the mesh beside it whose colours say how far each place is from the fitted face, or "
    "remove it again": (
        "Neben das Mesh eine Kopie stellen, deren Farben sagen, wie weit jede Stelle vom angepassten "
        "Gesicht weg ist, oder sie wieder entfernen"
    ),
    "Remove the fit, its preview and its landmarks; an animation that was written stays as it is": (
        "Die Anpassung, ihre Vorschau und ihre Landmarken entfernen; eine geschriebene Animation "
        "bleibt, wie sie ist"
    ),
    "Add empties for the mouth and its corners, nose, chin and eyes, where the fit is wrong or "
    "fails: move them to where these are on the mesh and fit again; those that you leave alone do "
    "nothing": (
        "Empties für Mund und Mundwinkel, Nase, Kinn und Augen hinzufügen, wo die Anpassung falsch "
        "ist oder misslingt: dorthin schieben, wo sie auf dem Mesh sind, und neu anpassen; "
        "unberührte bewirken nichts"
    ),
    "Remove the empties again; a fit that was made with them stays": (
        "Die Empties wieder entfernen; eine Anpassung, die mit ihnen gemacht wurde, bleibt"
    ),
    "Let the target's keys follow a recording of Live Link Face or Audio2Face, or a file of weights; "
    "it replaces the CodeTalker animation that is there": (
        "Die Schlüssel des Ziels einer Aufnahme von Live Link Face oder Audio2Face folgen lassen, "
        "oder einer Datei mit Gewichten; das ersetzt die vorhandene CodeTalker-Animation"
    ),
    "Frame of the scene in which the file's first one is shown": (
        "Bild der Szene, in dem das erste der Datei zu sehen ist"
    ),
    "Frames per second of a recording whose timecodes do not tell them, or round them; 0 takes what "
    "the file says": (
        "Bilder pro Sekunde einer Aufnahme, deren Timecodes sie nicht nennen oder runden; 0 nimmt, "
        "was die Datei sagt"
    ),
    "Write the target's CodeTalker animation into a file for other programs": (
        "Die CodeTalker-Animation des Ziels in eine Datei für andere Programme schreiben"
    ),
    "Kind of file; its name gets the ending": "Art der Datei; ihr Name erhält die Endung",
    "Path of the file": "Pfad der Datei",
    "The object as it is seen, frame by frame": "Das Objekt, wie es zu sehen ist, Bild für Bild",
    "Point cache of the mesh before its modifiers": "Punkte des Meshes vor seinen Modifikatoren",
    "Weights of ARKit's 52 shapes as Epic's app writes them": (
        "Gewichte der 52 Formen von ARKit, wie Epics App sie schreibt"
    ),
    "Weights of ARKit shapes or visemes, with seconds": (
        "Gewichte von ARKit-Formen oder Visemen, mit Sekunden"
    ),
    "Weights of ARKit shapes or visemes": "Gewichte von ARKit-Formen oder Visemen",
    "Offsets of the model's own face, before tuning": (
        "Verschiebungen des Gesichts des Modells, vor der Abstimmung"
    ),
    "The codebook's checkpoint, a .pth.tar of CodeTalker's authors": (
        "Der Checkpoint des Codebuchs, eine .pth.tar der Autoren von CodeTalker"
    ),
    "The speech-driven checkpoint of the same model": (
        "Der von Sprache getriebene Checkpoint desselben Modells"
    ),
    "The face at rest: .ply, .obj, .npy, .npz or the data set's templates.pkl": (
        "Das Gesicht in Ruhe: .ply, .obj, .npy, .npz oder templates.pkl des Datensatzes"
    ),
    "Whose template to take, where the file holds several": "Wessen Vorlage, wo die Datei mehrere enthält",
    "A .ply or .obj with the face's polygons, if the template has none": (
        "Eine .ply oder .obj mit den Polygonen des Gesichts, falls die Vorlage keine hat"
    ),
    "Folder of lve.txt, fdd.txt or FLAME_masks.pkl, if there is one": (
        "Ordner mit lve.txt, fdd.txt oder FLAME_masks.pkl, falls es einen gibt"
    ),
    "Name of the model; empty takes the file's": "Name des Modells; leer ist es der der Datei",
    "What the checkpoint may be used for, as its owners say": (
        "Wofür der Checkpoint benutzt werden darf, wie seine Eigner es sagen"
    ),
    "Attention heads of the network; checkpoints do not tell, the released ones have these": (
        "Aufmerksamkeitsköpfe des Netzes; Checkpoints sagen es nicht, die veröffentlichten haben diese"
    ),
    "Copy a model, a folder or a .zip of one, into your own models, after checking it": (
        "Ein Modell, als Ordner oder .zip, nach einer Prüfung zu den eigenen Modellen kopieren"
    ),
    "Delete the chosen model, one of your own, from the disk": (
        "Das gewählte Modell, eines der eigenen, von der Platte löschen"
    ),
    "Read the folders of models again": "Die Ordner mit Modellen neu lesen",
    "Show the folder of your own models in the system's file manager": (
        "Den Ordner der eigenen Modelle in der Dateiverwaltung des Systems zeigen"
    ),
    "Make the two checkpoints and the template a model of yours, and choose it": (
        "Aus den beiden Checkpoints und der Vorlage ein eigenes Modell machen und es wählen"
    ),
    "Stop importing; no model is added": "Den Import anhalten; kein Modell kommt hinzu",
}
