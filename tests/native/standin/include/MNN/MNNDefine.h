// The version of the stand-in: numbers that no release of MNN has.
#pragma once
#define MNN_VERSION_MAJOR 99
#define MNN_VERSION_MINOR 1
#define MNN_VERSION_PATCH 2
#define MNN_VERSION "99.1.2"
#define MNN_PUBLIC __attribute__((visibility("default")))
