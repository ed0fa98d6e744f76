#pragma once
#include <MNN/MNNForwardType.h>
#include <MNN/Tensor.hpp>

namespace MNN {
enum ErrorCode { NO_ERROR = 0, NOT_SUPPORT = 2 };
class Session;
struct ScheduleConfig {
    MNNForwardType type = MNN_FORWARD_CPU;
    int numThread = 4;
    BackendConfig* backendConfig = nullptr;
};
MNN_PUBLIC const char* getVersion();

class MNN_PUBLIC Interpreter {
public:
    enum SessionInfoCode { MEMORY, FLOPS, BACKENDS, RESIZE_STATUS, THREAD_NUMBER };
    static Interpreter* createFromFile(const char* file);
    static void destroy(Interpreter* net);
    Session* createSession(const ScheduleConfig& config);
    Tensor* getSessionInput(const Session* session, const char* name);
    Tensor* getSessionOutput(const Session* session, const char* name);
    void resizeTensor(Tensor* tensor, const std::vector<int>& sizes);
    void resizeSession(Session* session);
    ErrorCode runSession(Session* session) const;
    bool getSessionInfo(const Session* session, SessionInfoCode code, void* value);
};
}  // namespace MNN
