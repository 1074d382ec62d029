"""Names of keys as other programs write them: facts from their public documentation.

VENDORS: vendor -> the names of one character's keys; ARKIT_RIGS and VISEME_RIGS: those with all of a set.
"""

from __future__ import annotations

from codetalker_blender.face.shape_names import ARKIT


def _sides(names: str) -> list[str]:
    """Every word with a * twice, once per side."""
    return [word.replace("*", side) for word in names.split() for side in ("LR" if "*" in word else "L")]


def _snake(name: str) -> str:
    """jawOpen -> Jaw_Open."""
    return "".join(f"_{letter}" if letter.isupper() else letter for letter in name).title()


_ROCKETBOX_ARKIT = [
    f"AK_{number:02}_{name[0].upper()}{name[1:]}" for number, name in enumerate(sorted(ARKIT), 1)
]
_ROCKETBOX_VISEMES = [
    f"AA_VI_{number:02}_{sound}"
    for number, sound in enumerate("Sil PP FF TH DD KK CH SS nn RR aa E I O U".split())
]
_A_NUMBERED = (
    "Brow_Inner_Up Brow_Down_Left Brow_Down_Right Brow_Outer_Up_Left Brow_Outer_Up_Right Eye_Look_Up_Left "
    "Eye_Look_Up_Right Eye_Look_Down_Left Eye_Look_Down_Right Eye_Look_Out_Left Eye_Look_In_Left "
    "Eye_Look_In_Right Eye_Look_Out_Right Eye_Blink_Left Eye_Blink_Right Eye_Squint_Left Eye_Squint_Right "
    "Eye_Wide_Left Eye_Wide_Right Cheek_Puff Cheek_Squint_Left Cheek_Squint_Right Nose_Sneer_Left "
    "Nose_Sneer_Right Jaw_Open Jaw_Forward Jaw_Left Jaw_Right Mouth_Funnel Mouth_Pucker Mouth_Left "
    "Mouth_Right Mouth_Roll_Upper Mouth_Roll_Lower Mouth_Shrug_Upper Mouth_Shrug_Lower Mouth_Close "
    "Mouth_Smile_Left Mouth_Smile_Right Mouth_Frown_Left Mouth_Frown_Right Mouth_Dimple_Left "
    "Mouth_Dimple_Right Mouth_Upper_Up_Left Mouth_Upper_Up_Right Mouth_Lower_Down_Left "
    "Mouth_Lower_Down_Right Mouth_Press_Left Mouth_Press_Right Mouth_Stretch_Left Mouth_Stretch_Right "
    "Tongue_Out"
).split()

#: The extended profile of Character Creator 4, without the head's turns.
CC4_EXTENDED = _sides(
    "Brow_Raise_Inner_* Brow_Raise_Outer_* Brow_Drop_* Brow_Compress_* Eye_Blink_* Eye_Squint_* "
    "Eye_Wide_* Eye_*_Look_L Eye_*_Look_R Eye_*_Look_Up Eye_*_Look_Down Eyelash_Upper_Up_* "
    "Eyelash_Upper_Down_* Eyelash_Lower_Up_* Eyelash_Lower_Down_* Ear_Up_* Ear_Down_* Ear_Out_* "
    "Nose_Sneer_* Nose_Nostril_Raise_* Nose_Nostril_Dilate_* Nose_Crease_* Nose_Nostril_Down_* "
    "Nose_Nostril_In_* Nose_Tip_* Nose_Tip_Up Nose_Tip_Down Cheek_Raise_* Cheek_Suck_* Cheek_Puff_* "
    "Mouth_Smile_* Mouth_Smile_Sharp_* Mouth_Frown_* Mouth_Stretch_* Mouth_Dimple_* Mouth_Press_* "
    "Mouth_Tighten_* Mouth_Blow_* Mouth_Pucker_Up_* Mouth_Pucker_Down_* Mouth_Funnel_Up_* "
    "Mouth_Funnel_Down_* Mouth_Roll_In_Upper_* Mouth_Roll_In_Lower_* Mouth_Roll_Out_Upper_* "
    "Mouth_Roll_Out_Lower_* Mouth_Push_Upper_* Mouth_Push_Lower_* Mouth_Pull_Upper_* Mouth_Pull_Lower_* "
    "Mouth_Up Mouth_Down Mouth_* Mouth_Upper_* Mouth_Lower_* Mouth_Shrug_Upper Mouth_Shrug_Lower "
    "Mouth_Drop_Upper Mouth_Drop_Lower Mouth_Up_Upper_* Mouth_Down_Lower_* Mouth_Chin_Up Mouth_Close "
    "Mouth_Contract Tongue_Bulge_* Jaw_Open Jaw_Forward Jaw_Backward Jaw_* Jaw_Up Jaw_Down "
    "Neck_Swallow_Up Neck_Swallow_Down Neck_Tighten_*"
)
_CC_VISEMES = "EE Er IH Ah Oh W_OO S_Z Ch_J F_V TH T_L_D_N B_M_P K_G_H_NG AE R".split()
_CC_PAIRED = "V_Open V_Explosive V_Dental_Lip V_Tight_O V_Tight V_Wide V_Affricate V_Lip_Open".split()
CC3 = [
    *_sides(
        "Brow_Drop_* Brow_Raise_Inner_* Brow_Raise_Outer_* Cheek_Blow_* Cheek_Raise_* Eye_Blink_* "
        "Eye_Squint_* Eye_Wide_* Mouth_Dimple_* Mouth_Frown_* Mouth_Smile_* Mouth_* Mouth_Snarl_Lower_* "
        "Mouth_Snarl_Upper_* Nose_Flank_Raise_*"
    ),
    *"""Eyes_Blink Cheeks_Suck Mouth_Blow Mouth_Bottom_Lip_Bite Mouth_Bottom_Lip_Down
    Mouth_Bottom_Lip_Under Mouth_Down Mouth_Lips_Jaw_Adjust Mouth_Lips_Open Mouth_Lips_Part
    Mouth_Lips_Tight Mouth_Lips_Tuck Mouth_Open Mouth_Plosive Mouth_Pucker Mouth_Pucker_Open
    Mouth_Skewer Mouth_Smile Mouth_Top_Lip_Under Mouth_Top_Lip_Up Mouth_Up Mouth_Widen
    Mouth_Widen_Sides Nose_Flanks_Raise Nose_Nostrils_Flare Nose_Scrunch""".split(),
    *_CC_VISEMES,
]

VROID = """
Fcl_ALL_Neutral Fcl_ALL_Angry Fcl_ALL_Fun Fcl_ALL_Joy Fcl_ALL_Sorrow Fcl_ALL_Surprised Fcl_BRW_Angry
Fcl_BRW_Fun Fcl_BRW_Joy Fcl_BRW_Sorrow Fcl_BRW_Surprised Fcl_EYE_Natural Fcl_EYE_Angry Fcl_EYE_Close
Fcl_EYE_Close_R Fcl_EYE_Close_L Fcl_EYE_Fun Fcl_EYE_Joy Fcl_EYE_Joy_R Fcl_EYE_Joy_L Fcl_EYE_Sorrow
Fcl_EYE_Surprised Fcl_EYE_Spread Fcl_EYE_Iris_Hide Fcl_EYE_Highlight_Hide Fcl_MTH_Close Fcl_MTH_Up
Fcl_MTH_Down Fcl_MTH_Angry Fcl_MTH_Small Fcl_MTH_Large Fcl_MTH_Neutral Fcl_MTH_Fun Fcl_MTH_Joy
Fcl_MTH_Sorrow Fcl_MTH_Surprised Fcl_MTH_SkinFung Fcl_MTH_SkinFung_R Fcl_MTH_SkinFung_L Fcl_MTH_A
Fcl_MTH_I Fcl_MTH_U Fcl_MTH_E Fcl_MTH_O Fcl_HA_Hide Fcl_HA_Fung1 Fcl_HA_Fung1_Low Fcl_HA_Fung1_Up
Fcl_HA_Short
""".split()

MPFB_MICROSOFT = """
aa_02 aa_ah_ax_01 ao_03 aw_09 ay_11 d_t_n_19 er_05 ey_eh_uh_04 f_v_18 h_12 k_g_ng_20 l_14 ow_08 oy_10
p_b_m_21 r_13 sh_ch_jh_zh_16 sil_00 s_z_15 th_dh_17 w_uw_07 y_iy_ih_ix_06
""".split()

AUDIO2FACE = """
browLowerL browLowerR innerBrowRaiserL innerBrowRaiserR outerBrowRaiserL outerBrowRaiserR eyesLookLeft
eyesLookRight eyesLookUp eyesLookDown eyesCloseL eyesCloseR eyesUpperLidRaiserL eyesUpperLidRaiserR
squintL squintR cheekRaiserL cheekRaiserR cheekPuffL cheekPuffR noseWrinklerL noseWrinklerR jawDrop
jawDropLipTowards jawThrust jawSlideLeft jawSlideRight mouthSlideLeft mouthSlideRight dimplerL dimplerR
lipCornerPullerL lipCornerPullerR lipCornerDepressorL lipCornerDepressorR lipStretcherL lipStretcherR
upperLipRaiserL upperLipRaiserR lowerLipDepressorL lowerLipDepressorR chinRaiser lipPressor pucker
funneler lipSuck
""".split()

_VRCHAT = [f"vrc.v_{sound}" for sound in "sil pp ff th dd kk ch ss nn rr aa e ih oh ou".split()]
_META = [f"viseme_{sound}" for sound in "sil PP FF TH DD kk CH SS nn RR aa E I O U".split()]

#: All of ARKit's 52 are there, under these names.
ARKIT_RIGS = {
    "ARKit": list(ARKIT),
    "PascalCase": [name[0].upper() + name[1:] for name in ARKIT],
    "lower case": [name.lower() for name in ARKIT],
    "UPPER CASE": [name.upper() for name in ARKIT],
    "_L and _R": [name.replace("Left", "_L").replace("Right", "_R") for name in ARKIT],
    "L and R": [name.replace("Left", "L").replace("Right", "R") for name in ARKIT],
    ".L and .R": [name.replace("Left", ".L").replace("Right", ".R") for name in ARKIT],
    "Snake_Case": [_snake(name) for name in ARKIT],
    "ActorCore A01_": [f"A{number:02}_{name}" for number, name in enumerate(_A_NUMBERED, 1)],
    "Rocketbox AK_01_": _ROCKETBOX_ARKIT,
    "Maya node": [f"blendShape1.{name}" for name in _ROCKETBOX_ARKIT],
    "MPFB !ex-": [f"!ex-{name}" for name in ARKIT],
    "split brows": [*(name for name in ARKIT if name != "browInnerUp"), "browInnerUp_L", "browInnerUp_R"],
}
#: All of the 15 visemes are there.
VISEME_RIGS = {
    "Oculus": [*_META[:-3], "viseme_ih", "viseme_oh", "viseme_ou"],
    "Ready Player Me, MPFB": _META,
    "VRChat": _VRCHAT,
    "v_": [name.removeprefix("vrc.") for name in _VRCHAT],
    "Rocketbox AA_VI_00_": _ROCKETBOX_VISEMES,
    "Reallusion OCVR_": [f"OCVR_{sound}" for sound in "sil PP FF TH DD kk CH SS nn RR aa E I O U".split()],
    "no prefix": "sil PP FF TH DD kk CH SS nn RR aa E ih oh ou".split(),
}
VENDORS = {
    **ARKIT_RIGS,
    **VISEME_RIGS,
    "Rocketbox": _ROCKETBOX_ARKIT + _ROCKETBOX_VISEMES,
    "CC3": CC3,
    "CC4 extended": CC4_EXTENDED,
    "CC4 with visemes": CC4_EXTENDED + _CC_PAIRED + _CC_VISEMES,
    "VRoid": VROID,
    "VRM 0": "A I U E O Blink Blink_L Blink_R LookUp LookDown LookLeft LookRight Joy Fun".split(),
    "VRM 1": "aa ih ou ee oh blink blinkLeft blinkRight lookUp lookDown lookLeft lookRight happy".split(),
    "MPFB Microsoft": MPFB_MICROSOFT,
    "Audio2Face": AUDIO2FACE,
}
