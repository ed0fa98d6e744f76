// MNN's session API behind a plain C interface, compiled against a user's MNN at its first use.
//
// Functions return 0, or -1 with what is wrong in `error`. No C++ exception leaves this file, and
// nothing is printed here. A session is used by one thread at a time. Arrays are float32 in plain
// row-major order. Strings of the C++ library stay out of the calls to MNN, because their layout
// differs between compilers' settings.

#include <MNN/Interpreter.hpp>
#include <MNN/MNNDefine.h>
#include <MNN/MNNForwardType.h>
#include <MNN/Tensor.hpp>

#include <cstdint>
#include <cstdio>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace {

using MNN::Interpreter;
using MNN::Tensor;

struct Error : std::runtime_error {
    using std::runtime_error::runtime_error;
};

struct Net {
    void operator()(Interpreter* net) const { Interpreter::destroy(net); }
};

struct Session {
    std::unique_ptr<Interpreter, Net> net;
    MNN::BackendConfig backend;  // the session may look at it again when it is resized
    MNN::Session* session = nullptr;
    Tensor* input = nullptr;
    std::string output_name;
    std::unique_ptr<Tensor> features, embedding;  // around the caller's memory, while it runs

    Tensor* output() const {
        const char* name = output_name.empty() ? nullptr : output_name.c_str();
        Tensor* found = net->getSessionOutput(session, name);
        if (found == nullptr) throw Error("the model has no output " + output_name);
        return found;
    }
};

// Run a function and turn whatever it throws into text.
template <typename Body>
int guarded(char* error, int32_t error_size, Body body) noexcept {
    const char* unknown = "an exception that tells nothing";
    try {
        body();
        return 0;
    } catch (const std::exception& thrown) {
        std::snprintf(error, static_cast<size_t>(error_size), "%s", thrown.what());
    } catch (...) {
        std::snprintf(error, static_cast<size_t>(error_size), "%s", unknown);
    }
    return -1;
}

int64_t count(const std::vector<int>& shape) {
    int64_t product = 1;
    for (int size : shape) product *= size;
    return product;
}

std::string text(const std::vector<int>& shape) {
    std::string joined;
    for (int size : shape) joined += (joined.empty() ? "" : ", ") + std::to_string(size);
    return "[" + joined + "]";
}

// Return a tensor like one of the session's around memory of the caller's; it copies nothing. The
// tensor is made anew where the one that is kept has another shape.
Tensor* wrap(std::unique_ptr<Tensor>& kept, const Tensor* like, const float* values, int64_t number,
             const char* what) {
    const std::vector<int> shape = like->shape();
    if (like->getType() != halide_type_of<float>()) {
        throw Error(std::string("the model's ") + what + " is not float32");
    }
    if (count(shape) != number) {
        throw Error(std::string("the model's ") + what + " is " + text(shape) +
                    ", and the array has " + std::to_string(number) + " values");
    }
    void* memory = const_cast<float*>(values);
    if (kept == nullptr || kept->shape() != shape) {
        kept.reset(Tensor::create<float>(shape, memory, Tensor::CAFFE));
        if (kept == nullptr) throw Error("MNN makes no tensor of the shape " + text(shape));
    }
    kept->buffer().host = static_cast<uint8_t*>(memory);
    return kept.get();
}

}  // namespace

// The version of the headers that this file was compiled with.
EXPORT const char* rtfbench_mnn_headers() { return MNN_VERSION; }

// Load a model and create its session on the CPU. An empty name is the only input or output.
// `precision` is that of MNN's BackendConfig: 0 normal, 1 high, 2 low.
EXPORT int rtfbench_mnn_open(const char* path, const char* input, const char* output,
                             int32_t threads, int32_t precision, void** opened, char* error,
                             int32_t error_size) {
    return guarded(error, error_size, [&] {
        std::unique_ptr<Session> made(new Session);
        made->net.reset(Interpreter::createFromFile(path));
        if (made->net == nullptr) throw Error("MNN cannot load this model");
        made->backend.precision = static_cast<MNN::BackendConfig::PrecisionMode>(precision);
        made->output_name = output;
        MNN::ScheduleConfig config;
        config.type = MNN_FORWARD_CPU;
        config.numThread = threads;
        config.backendConfig = &made->backend;
        made->session = made->net->createSession(config);
        if (made->session == nullptr) throw Error("MNN cannot make a session of this model");
        made->input = made->net->getSessionInput(made->session, *input == '\0' ? nullptr : input);
        if (made->input == nullptr) throw Error(std::string("the model has no input ") + input);
        made->output();
        *opened = made.release();
    });
}

// Write the sizes of the input (0) or output (1) and their number; a size that is open is -1.
EXPORT int rtfbench_mnn_shape(void* opened, int32_t which, int32_t* sizes, int32_t capacity,
                              int32_t* rank, char* error, int32_t error_size) {
    return guarded(error, error_size, [&] {
        const Session& self = *static_cast<Session*>(opened);
        const std::vector<int> shape = (which == 0 ? self.input : self.output())->shape();
        if (shape.size() > static_cast<size_t>(capacity)) throw Error("axes: " + text(shape));
        for (size_t axis = 0; axis < shape.size(); ++axis) sizes[axis] = shape[axis];
        *rank = static_cast<int32_t>(shape.size());
    });
}

// Give the input another shape, and the session what it needs for it. For full libraries only.
EXPORT int rtfbench_mnn_resize(void* opened, const int32_t* sizes, int32_t rank, char* error,
                               int32_t error_size) {
    return guarded(error, error_size, [&] {
        Session& self = *static_cast<Session*>(opened);
        const std::vector<int> shape(sizes, sizes + rank);
        self.net->resizeTensor(self.input, shape);
        self.net->resizeSession(self.session);
        int left = 0;
        self.net->getSessionInfo(self.session, Interpreter::RESIZE_STATUS, &left);
        if (left != 0) {
            throw Error("MNN cannot give the model an input of the shape " + text(shape));
        }
    });
}

// Read the input from one array and write the output to another: one copy each, made by MNN.
EXPORT int rtfbench_mnn_run(void* opened, const float* input, int64_t input_values, float* output,
                            int64_t output_values, char* error, int32_t error_size) {
    return guarded(error, error_size, [&] {
        Session& self = *static_cast<Session*>(opened);
        Tensor* features = wrap(self.features, self.input, input, input_values, "input");
        if (!self.input->copyFromHostTensor(features)) throw Error("MNN does not take the input");
        const int code = self.net->runSession(self.session);
        if (code != 0) throw Error("MNN failed with error code " + std::to_string(code));
        const Tensor* result = self.output();
        Tensor* embedding = wrap(self.embedding, result, output, output_values, "output");
        if (!result->copyToHostTensor(embedding)) throw Error("MNN does not give the output");
    });
}

// Write what the session says of itself: memory in MB, operations in millions of
// multiply-accumulates (0 on a minimal library, which cannot count), threads and backend.
EXPORT int rtfbench_mnn_info(void* opened, float* memory_mb, float* mega_macs, int32_t* threads,
                             int32_t* backend, char* error, int32_t error_size) {
    return guarded(error, error_size, [&] {
        const Session& self = *static_cast<Session*>(opened);
        int number = 0, backends[8] = {};
        if (!self.net->getSessionInfo(self.session, Interpreter::MEMORY, memory_mb) ||
            !self.net->getSessionInfo(self.session, Interpreter::FLOPS, mega_macs) ||
            !self.net->getSessionInfo(self.session, Interpreter::THREAD_NUMBER, &number) ||
            !self.net->getSessionInfo(self.session, Interpreter::BACKENDS, backends)) {
            throw Error("MNN tells nothing of the session");
        }
        *threads = number;
        *backend = backends[0];
    });
}

// Release the session and the model.
EXPORT void rtfbench_mnn_close(void* opened) { delete static_cast<Session*>(opened); }
