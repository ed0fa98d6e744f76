// A stand-in with the interface that the shim calls: it tests the shim, where no MNN is.
//
// A "model" does what the name of its file says. One that works takes [1, T, 80], T being 50 unless
// the name says "open", and gives the sum of each of the first 16 bins, or with "where" in its name
// the address that its input was copied from. -DMINIMAL makes a library
// that neither counts operations nor resizes.

#include <MNN/Interpreter.hpp>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>

namespace MNN {

class Session {
public:
    int threads;
};

namespace {
struct Model : Interpreter {
    std::string name;
    Tensor input, output;
    Session session;
    bool sized = true;
};
Model& of(const Interpreter* net) { return *static_cast<Model*>(const_cast<Interpreter*>(net)); }
bool says(const std::string& name, const char* word) { return name.find(word) != std::string::npos; }
long count(const std::vector<int>& sizes) {
    long product = 1;
    for (int size : sizes) product *= size;
    return product;
}
void allot(Tensor& tensor, const std::vector<int>& sizes) {
    tensor.sizes = sizes;
    tensor.type = halide_type_of<float>();
    tensor.own.assign(count(sizes) > 0 ? count(sizes) : 0, 0.0f);
    tensor.memory.host = reinterpret_cast<uint8_t*>(tensor.own.data());
}
}  // namespace

uintptr_t copied_from = 0;

const char* getVersion() { return VERSION; }

Tensor::~Tensor() {}
Tensor* Tensor::create(const std::vector<int>& sizes, halide_type_t type, void* data, DimensionType) {
    return new Tensor{sizes, type, {static_cast<uint8_t*>(data)}, {}};
}
std::vector<int> Tensor::shape() const { return sizes; }
bool Tensor::copyFromHostTensor(const Tensor* host) {
    std::memcpy(memory.values(), host->memory.values(), sizeof(float) * own.size());
    copied_from = reinterpret_cast<uintptr_t>(host->memory.host);
    return true;
}
bool Tensor::copyToHostTensor(Tensor* host) const {
    std::memcpy(host->memory.values(), memory.values(), sizeof(float) * own.size());
    return true;
}

Interpreter* Interpreter::createFromFile(const char* file) {
    std::string name(file);
    name = name.substr(name.rfind('/') + 1);
    if (says(name, "throws_text")) throw std::runtime_error("line one\nline two");
    if (says(name, "throws_number")) throw 7;
    if (says(name, "prints")) std::puts("something that MNN prints");
    if (says(name, "null")) return nullptr;
    Model* model = new Model;
    model->name = name;
    allot(model->input, {1, says(name, "open") ? -1 : 50, 80});
    allot(model->output, {1, 16});
    model->sized = !says(name, "open");
    return model;
}
void Interpreter::destroy(Interpreter* net) { delete static_cast<Model*>(net); }
Session* Interpreter::createSession(const ScheduleConfig& config) {
    Model& model = of(this);
    if (says(model.name, "nosession")) return nullptr;
    model.session.threads = says(model.name, "capped") ? 1 : config.numThread;
    return &model.session;
}
Tensor* Interpreter::getSessionInput(const Session*, const char* name) {
    return name == nullptr || std::string(name) == "feats" ? &of(this).input : nullptr;
}
Tensor* Interpreter::getSessionOutput(const Session*, const char* name) {
    return name == nullptr || std::string(name) == "embs" ? &of(this).output : nullptr;
}
void Interpreter::resizeTensor(Tensor* tensor, const std::vector<int>& sizes) { allot(*tensor, sizes); }
void Interpreter::resizeSession(Session*) {
    Model& model = of(this);
    model.sized = !says(model.name, "stuck");
    allot(model.output, {model.input.sizes[0], 16});
}
ErrorCode Interpreter::runSession(Session*) const {
    Model& model = of(this);
    if (says(model.name, "fails")) return NOT_SUPPORT;
    for (int bin = 0; bin < 16; ++bin) {
        float sum = 0;
        if (says(model.name, "where")) {
            // Four bits of the address that the input was copied from.
            model.output.memory.values()[bin] = (copied_from >> (4 * bin)) & 15;
            continue;
        }
        for (int frame = 0; frame < model.input.sizes[1]; ++frame) {
            sum += model.input.memory.values()[80 * frame + bin];
        }
        model.output.memory.values()[bin] = sum;
    }
    return NO_ERROR;
}
bool Interpreter::getSessionInfo(const Session*, SessionInfoCode code, void* value) {
    const Model& model = of(this);
#ifdef MINIMAL
    const float mega_macs = 0;
#else
    const float mega_macs = model.sized ? 2.5f : 0;
#endif
    if (code == MEMORY) *static_cast<float*>(value) = 1.25f;
    if (code == FLOPS) *static_cast<float*>(value) = mega_macs;
    if (code == BACKENDS) *static_cast<int*>(value) = says(model.name, "gpu") ? 3 : 0;
    if (code == RESIZE_STATUS) *static_cast<int*>(value) = model.sized ? 0 : 2;
    if (code == THREAD_NUMBER) *static_cast<int*>(value) = model.session.threads;
    return true;
}

}  // namespace MNN
