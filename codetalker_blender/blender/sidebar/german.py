"""The words of panels, buttons and tooltips in German: English as it stands in the code -> German."""

from __future__ import annotations

#: Labels of buttons and of menu entries.
BUTTONS = {
    "Generate from Audio": "Aus Ton erzeugen",
    "Cancel": "Abbrechen",
    "Cancel All": "Alle abbrechen",
    "Apply Settings": "Einstellungen anwenden",
    "Reset": "Zurücksetzen",
    "Remove CodeTalker Animation": "CodeTalker-Animation entfernen",
    "Add Demo Head": "Beispielkopf hinzufügen",
    "Open Preferences": "Einstellungen öffnen",
    "Add to the Queue": "In die Warteschlange",
    "Animate from Active Strip": "Vom aktiven Streifen animieren",
    # models
    "Add Model...": "Modell hinzufügen...",
    "Remove Model": "Modell entfernen",
    "Remove": "Entfernen",
    "Refresh Models": "Modelle neu lesen",
    "Open Folder": "Ordner öffnen",
    "Import Checkpoints": "Checkpoints importieren",
    "Cancel Import": "Import abbrechen",
    "New Seed": "Neuer Startwert",
    "As the Model Brings It": "Wie im Modell",
    "Add Preset": "Voreinstellung hinzufügen",
    # mapping
    "Auto-Map": "Selbst zuordnen",
    "Add Key": "Schlüssel hinzufügen",
    "Load Mapping...": "Mapping laden...",
    "Save Mapping...": "Mapping speichern...",
    "Add Selected Meshes": "Ausgewählte Meshes hinzufügen",
    "Clear Meshes": "Meshes entfernen",
    # other topologies, bones, errors, files
    "Fit to This Mesh": "An dieses Mesh anpassen",
    "Show Fit": "Anpassung zeigen",
    "Show Fit Distance": "Abstand der Anpassung zeigen",
    "Hide Fit Distance": "Abstand der Anpassung verbergen",
    "Forget Fit": "Anpassung vergessen",
    "Add Landmarks": "Landmarken hinzufügen",
    "Remove Landmarks": "Landmarken entfernen",
    "Add Channel": "Kanal hinzufügen",
    "Remove Channel": "Kanal entfernen",
    "Clear Channels": "Kanäle entfernen",
    "Jaw Bone": "Kieferknochen",
    "Rigify Face": "Rigify-Gesicht",
    "Show Error": "Fehler zeigen",
    "Hide Error": "Fehler verbergen",
    "Import Facial Weights": "Gesichtsgewichte importieren",
    "Export CodeTalker Animation": "CodeTalker-Animation exportieren",
    # preferences
    "Set Up Engine": "Engine einrichten",
    "Download and Install": "Herunterladen und installieren",
    "Cancel Set-Up": "Einrichten abbrechen",
    "Remove Engine": "Engine entfernen",
    "Check Installation": "Installation prüfen",
    "Copy to Clipboard": "In die Zwischenablage",
}

#: Everything else: panels, settings, choices, reasons.
LABELS = {
    # settings of the scene
    "Source": "Quelle",
    "Active Strip": "Aktiver Streifen",
    "Strip by Name": "Streifen nach Namen",
    "File": "Datei",
    "Strip": "Streifen",
    "Limit to Scene Range": "Auf Szenenbereich beschränken",
    "Audio": "Audio",
    "Target": "Ziel",
    "Model": "Modell",
    "Folder": "Ordner",
    "Style": "Stil",
    "Speaking style": "Sprechweise",
    "Second Style": "Zweiter Stil",
    "Mix": "Mischung",
    "Variation": "Variation",
    "Seed": "Startwert",
    "Device": "Gerät",
    "Automatic": "Automatisch",
    "As in the Preferences": "Wie in den Einstellungen",
    "Other Folder": "Anderer Ordner",
    "Live Preview": "Live-Vorschau",
    # settings of the target
    "Output": "Ausgabe",
    "Per Frame": "Je Bild",
    "Compact": "Kompakt",
    "Existing Keys": "Vorhandene Schlüssel",
    "Maximum Error": "Größter Fehler",
    "NLA Track": "NLA-Spur",
    "Strength": "Stärke",
    "Smoothing": "Glättung",
    "Mouth": "Mund",
    "Jaw": "Kiefer",
    "Upper Face": "Obere Gesichtshälfte",
    "Eyelids": "Augenlider",
    "Lip Closure": "Lippenschluss",
    "Time Offset": "Zeitversatz",
    "Tuning": "Abstimmung",
    "These settings are not applied yet": "Diese Einstellungen sind noch nicht angewandt",
    "Generate one first.": "Zuerst eine erzeugen.",
    # mapping
    "Mapping": "Mapping",
    "Shapes": "Formen",
    "Shape": "Form",
    "Visemes": "Viseme",
    "Key": "Schlüssel",
    "Gain": "Faktor",
    "Enabled": "Eingeschaltet",
    "Minimum": "Minimum",
    "Maximum": "Maximum",
    "Multiplier": "Multiplikator",
    "Offset": "Versatz",
    "Mesh": "Mesh",
    # other panels
    "Runs": "Läufe",
    "Other Topology": "Andere Topologie",
    "Bones and Properties": "Knochen und Eigenschaften",
    "Layers": "Ebenen",
    "Blinks": "Lidschläge",
    "Closure": "Schluss",
    "Head Motion": "Kopfbewegung",
    "Turned": "Gedreht wird",
    "Hold": "Halten",
    "Amount": "Stärke",
    "Gaze": "Blick",
    "Look At": "Blickt auf",
    "Straight Ahead": "Geradeaus",
    "Scene Camera": "Kamera der Szene",
    "Object": "Objekt",
    "Flicks": "Blicksprünge",
    "Error": "Fehler",
    "Channel": "Kanal",
    "Custom Property": "Eigene Eigenschaft",
    "Input Minimum": "Eingang Minimum",
    "Input Maximum": "Eingang Maximum",
    "Output Minimum": "Ausgang Minimum",
    "Output Maximum": "Ausgang Maximum",
    # the list before a run, and why a button is grey
    "No audio file is chosen.": "Keine Tondatei ist gewählt.",
    "No target mesh is chosen.": "Kein Ziel-Mesh ist gewählt.",
    "No target mesh is chosen": "Kein Ziel-Mesh ist gewählt",
    "No speaking style is chosen.": "Keine Sprechweise ist gewählt.",
    "Nothing is being generated": "Nichts wird gerade erzeugt",
    "Switch to Object Mode first": "Zuerst in den Objektmodus wechseln",
    "There is no engine yet: choose Managed in the preferences, and one is set up for you.": (
        "Noch gibt es keine Engine: „Verwaltet“ in den Einstellungen richtet eine ein."
    ),
    "The managed engine is not set up yet: press Set Up Engine in the preferences.": (
        "Die verwaltete Engine ist noch nicht eingerichtet: in den Einstellungen „Engine einrichten“."
    ),
    # models
    "No model is chosen": "Kein Modell ist gewählt",
    "Name": "Name",
    "Vertices": "Punkte",
    "Rate": "Rate",
    "{rate} fps": "{rate} Bilder/s",
    "Styles": "Stile",
    "Reach": "Reichweite",
    "Looks back only": "Blickt nur zurück",
    "Looks both ways": "Blickt in beide Richtungen",
    "Licence": "Lizenz",
    "On Disk": "Auf der Platte",
    "Delete this model from the disk?": "Dieses Modell von der Platte löschen?",
    "Delete": "Löschen",
    "The model '{name}' is among yours now": "Das Modell „{name}“ gehört jetzt zu Ihren",
    "The model '{name}' is gone": "Das Modell „{name}“ ist entfernt",
    "Only models that you added are removed here": "Nur eigene Modelle lassen sich hier entfernen",
    # import
    "Import Checkpoints": "Checkpoints importieren",
    "Stage 1": "Stufe 1",
    "Stage 2": "Stufe 2",
    "Template": "Vorlage",
    "Subject": "Person",
    "Regions": "Regionen",
    "Codec Heads": "Köpfe des Codecs",
    "Query Heads": "Köpfe der Abfrage",
    "Speech Heads": "Köpfe des Sprachkodierers",
    "If the checkpoints are not the released ones": "Falls es nicht die veröffentlichten Checkpoints sind",
    "Reading the template": "Liest die Vorlage",
    "Reading stage 1": "Liest Stufe 1",
    "Reading stage 2": "Liest Stufe 2",
    "Writing the model": "Schreibt das Modell",
    "Cancelled; no model was added": "Abgebrochen; kein Modell kam hinzu",
    "CodeTalker Presets": "CodeTalker-Voreinstellungen",
    "Animate from Active Strip": "Vom aktiven Streifen animieren",
    # preferences
    "Engine": "Engine",
    "Bundled": "Mitgebracht",
    "Own Environment": "Eigene Umgebung",
    "Managed": "Verwaltet",
    "Engine Python": "Python der Engine",
    "Set Up For": "Einrichten für",
    "Package Index": "Paketquelle",
    "Run the Model": "Modell ausführen",
    "In a Worker Process": "In einem eigenen Prozess",
    "Inside Blender": "In Blender",
    "Models": "Modelle",
    "Own Environment takes a Python with torch, if you have one.": (
        "„Eigene Umgebung“ nimmt ein Python mit torch, falls Sie eines haben."
    ),
    "The engine is part of this installation.": "Die Engine ist Teil dieser Installation.",
    "Checking...": "Prüft...",
    "Making the environment": "Legt die Umgebung an",
    "Asking the index what is needed": "Fragt die Paketquelle, was nötig ist",
    "Downloading": "Lädt herunter",
    "Installing": "Installiert",
    "Trying it out": "Probiert aus",
}

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
}
