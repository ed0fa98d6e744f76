"""Names of micro-architectures, by what a processor says of itself (pure).

Virtual machines hide the model's name but not its family and model. Sources: the lists of families
and models in Linux (arch/x86/kernel/cpu/amd.c and arch/x86/include/asm/intel-family.h).
"""

from collections.abc import Mapping

Models = Mapping[range, str]

AMD: Mapping[int, Models] = {
    23: {
        range(0x30): "Zen",
        range(0x30, 0x50): "Zen 2",
        range(0x60, 0x80): "Zen 2",
        range(0x90, 0xB0): "Zen 2",
    },
    25: {
        range(0x10): "Zen 3",
        range(0x10, 0x20): "Zen 4",
        range(0x20, 0x60): "Zen 3",
        range(0x60, 0x80): "Zen 4",
        range(0xA0, 0xB0): "Zen 4",
    },
    26: {
        range(0x30): "Zen 5",
        range(0x40, 0x50): "Zen 5",
        range(0x60, 0x80): "Zen 5",
    },
}
INTEL_FAMILY = 6
INTEL: Mapping[int, str] = {
    0x3F: "Haswell",
    0x4E: "Skylake",
    0x4F: "Broadwell",
    0x56: "Broadwell",
    0x5E: "Skylake",
    0x6A: "Ice Lake",
    0x6C: "Ice Lake",
    0x7D: "Ice Lake",
    0x7E: "Ice Lake",
    0x8C: "Tiger Lake",
    0x8D: "Tiger Lake",
    0x8E: "Kaby Lake",
    0x8F: "Sapphire Rapids",
    0x97: "Alder Lake",
    0x9A: "Alder Lake",
    0x9E: "Coffee Lake",
    0xAA: "Meteor Lake",
    0xAD: "Granite Rapids",
    0xAE: "Granite Rapids",
    0xAF: "Sierra Forest",
    0xB7: "Raptor Lake",
    0xBA: "Raptor Lake",
    0xBD: "Lunar Lake",
    0xBF: "Raptor Lake",
    0xC5: "Arrow Lake",
    0xC6: "Arrow Lake",
    0xCF: "Emerald Rapids",
}
#: One model number, told apart by the stepping: from which on it is which.
SKYLAKE_SERVER = 0x55
SKYLAKE_SERVER_STEPPINGS = ((10, "Cooper Lake"), (5, "Cascade Lake"), (0, "Skylake-SP"))


def microarchitecture(
    vendor: str, family: int | None, model: int | None, stepping: int | None, *, name: str = ""
) -> str:
    """Return the name of a core's design, empty where it is not known.

    Args:
        vendor: as the processor says it, e.g. `AuthenticAMD`.
        family: the number of its family.
        model: the number within it.
        stepping: the revision.
        name: what the system calls it; elsewhere than on x86 that is the core's design.
    """
    if vendor == "AuthenticAMD" and family is not None and model is not None:
        known = AMD.get(family, {})
        return next((text for models, text in known.items() if model in models), "")
    if vendor == "GenuineIntel" and family == INTEL_FAMILY and model is not None:
        if model == SKYLAKE_SERVER:
            return next(
                text for least, text in SKYLAKE_SERVER_STEPPINGS if (stepping or 0) >= least
            )
        return INTEL.get(model, "")
    return name if vendor in ("ARM", "Apple", "Ampere", "Cavium", "HiSilicon", "Qualcomm") else ""
