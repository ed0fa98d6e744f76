#pragma once
enum MNNForwardType { MNN_FORWARD_CPU = 0 };
namespace MNN {
struct BackendConfig {
    enum PrecisionMode { Precision_Normal = 0, Precision_High, Precision_Low };
    PrecisionMode precision = Precision_Normal;
};
}  // namespace MNN
