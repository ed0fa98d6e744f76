#pragma once
#include <MNN/MNNDefine.h>

#include <cstdint>
#include <vector>

struct halide_type_t {
    int bits;
    bool operator!=(const halide_type_t& other) const { return bits != other.bits; }
};
template <typename T>
halide_type_t halide_type_of() {
    return halide_type_t{8 * static_cast<int>(sizeof(T))};
}

struct halide_buffer_t {
    uint8_t* host;
    float* values() const { return reinterpret_cast<float*>(host); }
};

namespace MNN {
class MNN_PUBLIC Tensor {
public:
    enum DimensionType { TENSORFLOW, CAFFE };
    ~Tensor();
    static Tensor* create(const std::vector<int>& shape, halide_type_t type, void* data,
                          DimensionType layout);
    template <typename T>
    static Tensor* create(const std::vector<int>& shape, void* data, DimensionType layout) {
        return create(shape, halide_type_of<T>(), data, layout);
    }
    std::vector<int> shape() const;
    halide_type_t getType() const { return type; }
    halide_buffer_t& buffer() { return memory; }
    bool copyFromHostTensor(const Tensor* host);
    bool copyToHostTensor(Tensor* host) const;

    std::vector<int> sizes;
    halide_type_t type;
    halide_buffer_t memory;
    std::vector<float> own;
};
}  // namespace MNN
