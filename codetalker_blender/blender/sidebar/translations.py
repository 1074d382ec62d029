"""The panel's words in other languages; English is what stands in the code.

Blender looks up labels, tooltips and plain texts of panels and reports by itself; sentences with a value in
them are looked up where they are made, before the value is put in.  What is missing stays English.
"""

from __future__ import annotations

from typing import Any

import bpy

#: Blender looks for the labels of operators under this context, for all else under the other.
_OPERATOR, _ANY = "Operator", "*"

_GERMAN_LABELS = {
    "Generate from Audio": "Aus Ton erzeugen",
    "Cancel": "Abbrechen",
    "Apply Settings": "Einstellungen anwenden",
    "Reset": "Zurücksetzen",
    "Remove CodeTalker Animation": "CodeTalker-Animation entfernen",
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
}
_GERMAN = {
    # settings of the scene
    "Target": "Ziel",
    "Head that shall speak": "Der Kopf, der sprechen soll",
    "Model": "Modell",
    "Model bundle that turns speech into motion": "Das Modell, das Sprache in Bewegung verwandelt",
    "Folder": "Ordner",
    "Style": "Stil",
    "Speaking style": "Sprechweise",
    "Second Style": "Zweiter Stil",
    "Speaking style that Mix leads to": "Sprechweise, zu der die Mischung führt",
    "Variation": "Variation",
    "Seed": "Startwert",
    "Device": "Gerät",
    "Automatic": "Automatisch",
    "As in the Preferences": "Wie in den Einstellungen",
    "Other Folder": "Anderer Ordner",
    # settings of the target
    "Output": "Ausgabe",
    "Per Frame": "Je Bild",
    "Compact": "Kompakt",
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
}

#: language -> (context, English) -> translation
TABLE: dict[str, Any] = {
    "de": {
        **{(_OPERATOR, english): german for english, german in _GERMAN_LABELS.items()},
        **{(_ANY, english): german for english, german in _GERMAN.items()},
    }
}


def register() -> None:
    """Make the table known to Blender."""
    bpy.app.translations.register(__name__, TABLE)


def unregister() -> None:
    """Take it back."""
    bpy.app.translations.unregister(__name__)
