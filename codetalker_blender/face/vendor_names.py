"""What other programs call the shapes: tables of key names and the shapes that drive them.

A line reads ``key: shapes``; ``shapes`` are names with a gain before them (1 if none), joined by +.  A * is
a side: L in the key, Left in the shape.  Names that differ from ARKit's only in case, underlines, numbers in
front or the way the side is written need no line (:mod:`.names` reads them).  Standard library only.
"""

from __future__ import annotations

#: Character Creator 3 and 4 (Reallusion), the standard, extended and traditional profiles.
CHARACTER_CREATOR = """
Brow_Drop_*: browDown*
Brow_Raise_Inner_*: browInnerUp
Brow_Raise_Outer_*: browOuterUp*
Cheek_Raise_*: cheekSquint*
Cheek_Blow_*: cheekPuff
Eyes_Blink: 0.5 eyeBlinkLeft + 0.5 eyeBlinkRight
Eye_L_Look_L: eyeLookOutLeft
Eye_L_Look_R: eyeLookInLeft
Eye_R_Look_L: eyeLookInRight
Eye_R_Look_R: eyeLookOutRight
Mouth_Roll_In_Upper: mouthRollUpper
Mouth_Roll_In_Upper_*: mouthRollUpper
Mouth_Roll_In_Lower: mouthRollLower
Mouth_Roll_In_Lower_*: mouthRollLower
Mouth_Funnel_Up_*: mouthFunnel
Mouth_Funnel_Down_*: mouthFunnel
Mouth_Pucker_Up_*: mouthPucker
Mouth_Pucker_Down_*: mouthPucker
Mouth_Up_Upper_*: mouthUpperUp*
Mouth_Down_Lower_*: mouthLowerDown*
Mouth_Top_Lip_Under: mouthRollUpper
Mouth_Bottom_Lip_Under: mouthRollLower
Mouth_Pucker_Open: mouthFunnel
Mouth_Snarl_Upper_*: mouthUpperUp*
Mouth_Snarl_Lower_*: mouthLowerDown*
Mouth_Widen_Sides: 0.5 mouthStretchLeft + 0.5 mouthStretchRight
Nose_Flank_Raise_*: noseSneer*
Ah: viseme_aa
AE: viseme_E
IH: viseme_ih
Oh: viseme_oh
W_OO: viseme_ou
B_M_P: viseme_PP
F_V: viseme_FF
TH: viseme_TH
T_L_D_N: viseme_DD + viseme_nn
K_G_H_NG: viseme_kk
Ch_J: viseme_CH
S_Z: viseme_SS
R: viseme_RR
EE: 0.5 viseme_ih
Er: 0.5 viseme_RR
"""

#: Character Creator's eight paired mouth shapes: each stands for several sounds.
CHARACTER_CREATOR_PAIRED = """
V_Open: viseme_aa + 0.5 viseme_E + 0.5 viseme_oh + 0.3 viseme_kk
V_Explosive: viseme_PP
V_Dental_Lip: viseme_FF
V_Tight_O: viseme_ou + 0.7 viseme_oh
V_Tight: 0.6 viseme_RR
V_Wide: viseme_ih + 0.5 viseme_E
V_Affricate: viseme_CH
V_Lip_Open: viseme_SS + 0.7 viseme_DD + 0.7 viseme_nn + 0.5 viseme_TH
"""

#: VRM expressions, and VRoid Studio's keys where a key does what one shape does.
VRM = """
Blink: 0.5 eyeBlinkLeft + 0.5 eyeBlinkRight
Blink_*: eyeBlink*
LookUp: 0.5 eyeLookUpLeft + 0.5 eyeLookUpRight
LookDown: 0.5 eyeLookDownLeft + 0.5 eyeLookDownRight
LookLeft: 0.5 eyeLookOutLeft + 0.5 eyeLookInRight
LookRight: 0.5 eyeLookInLeft + 0.5 eyeLookOutRight
Fcl_EYE_Close: 0.5 eyeBlinkLeft + 0.5 eyeBlinkRight
Fcl_EYE_Close_*: eyeBlink*
Fcl_MTH_A: viseme_aa
Fcl_MTH_I: viseme_ih
Fcl_MTH_U: viseme_ou
Fcl_MTH_E: viseme_E
Fcl_MTH_O: viseme_oh
"""

#: VRoid Studio's keys that show a mood rather than a movement.
VROID_MOODS = """
Fcl_EYE_Spread: 0.5 eyeWideLeft + 0.5 eyeWideRight
Fcl_BRW_Angry: 0.5 browDownLeft + 0.5 browDownRight
Fcl_BRW_Surprised: 0.4 browInnerUp + 0.3 browOuterUpLeft + 0.3 browOuterUpRight
Fcl_MTH_Close: viseme_PP
"""

#: MPFB (MakeHuman) calls Microsoft's 22 visemes by their phones; diphthongs have no Oculus viseme.
MPFB_MICROSOFT = """
sil_00: viseme_sil
aa_02: viseme_aa
ao_03: viseme_oh
ey_eh_uh_04: viseme_E
y_iy_ih_ix_06: viseme_ih
w_uw_07: viseme_ou
r_13: viseme_RR
s_z_15: viseme_SS
sh_ch_jh_zh_16: viseme_CH
th_dh_17: viseme_TH
f_v_18: viseme_FF
d_t_n_19: viseme_DD + viseme_nn
k_g_ng_20: viseme_kk
p_b_m_21: viseme_PP
"""

#: Audio2Face's own 46 poses, after the muscles of the Facial Action Coding System.
AUDIO2FACE = """
browLower*: browDown*
innerBrowRaiser*: browInnerUp
outerBrowRaiser*: browOuterUp*
eyesLookUp: 0.5 eyeLookUpLeft + 0.5 eyeLookUpRight
eyesLookDown: 0.5 eyeLookDownLeft + 0.5 eyeLookDownRight
eyesLookLeft: 0.5 eyeLookOutLeft + 0.5 eyeLookInRight
eyesLookRight: 0.5 eyeLookInLeft + 0.5 eyeLookOutRight
eyesClose*: eyeBlink*
eyesUpperLidRaiser*: eyeWide*
squint*: eyeSquint*
cheekRaiser*: cheekSquint*
noseWrinkler*: noseSneer*
jawDrop: jawOpen
jawThrust: jawForward
jawSlide*: jaw*
mouthSlide*: mouth*
dimpler*: mouthDimple*
lipCornerPuller*: mouthSmile*
lipCornerDepressor*: mouthFrown*
lipStretcher*: mouthStretch*
upperLipRaiser*: mouthUpperUp*
lowerLipDepressor*: mouthLowerDown*
chinRaiser: mouthShrugLower
lipPressor: 0.5 mouthPressLeft + 0.5 mouthPressRight
pucker: mouthPucker
funneler: mouthFunnel
lipSuck: 0.5 mouthRollLower + 0.5 mouthRollUpper
"""

#: Names in the wild that say what a key shows, but not how it does.
LOOSE = """
Mouth_Open: jawOpen
Smile_*: mouthSmile*
Frown_*: mouthFrown*
"""

#: Tables, and why what they say should be looked at (empty: no need).
TABLES = (
    (CHARACTER_CREATOR, ""),
    (VRM, ""),
    (MPFB_MICROSOFT, ""),
    (AUDIO2FACE, ""),
    (CHARACTER_CREATOR_PAIRED, "it is one of eight mouth shapes that stand for all sounds"),
    (VROID_MOODS, "it shows a mood or a closed mouth, not just this movement"),
    (LOOSE, "its name does not say how it moves the face"),
)

#: Keys that only Character Creator has.
CHARACTER_CREATOR_MARKS = frozenset(
    "Mouth_Up_Upper_L Mouth_Down_Lower_L Brow_Drop_L Brow_Raise_Outer_L Eye_L_Look_L Cheek_Raise_L "
    "Mouth_Roll_In_Upper Mouth_Roll_In_Upper_L Nose_Flank_Raise_L Mouth_Snarl_Upper_L".split()
)

#: Sounds as viseme keys spell them after a prefix: viseme_aa, vrc.v_aa, v_aa, AA_VI_10_aa, OCVR_aa.
VISEME_PREFIX = r"(?:viseme[ _-]?|v_|aa_vi_\d\d_|ocvr_)"
SOUNDS = {
    **{sound.lower(): f"viseme_{sound}" for sound in "sil PP FF TH DD kk CH SS nn RR aa E ih oh ou".split()},
    **{"i": "viseme_ih", "o": "viseme_oh", "u": "viseme_ou", "ee": "viseme_E"},
}
#: Mouth shapes called by a bare vowel or sound, trusted when several of one kind come together.
BARE_SOUNDS: tuple[dict[str, str], ...] = (
    {"a": "viseme_aa", "i": "viseme_ih", "u": "viseme_ou", "e": "viseme_E", "o": "viseme_oh"},  # VRM 0
    {"あ": "viseme_aa", "い": "viseme_ih", "う": "viseme_ou", "え": "viseme_E", "お": "viseme_oh"},  # MMD
    {**SOUNDS, "a": "viseme_aa"},  # VRM 1, and Oculus names without a prefix
)
