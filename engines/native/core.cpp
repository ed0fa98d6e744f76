// What one core can do at best: fused multiply-adds on registers alone, and chains of additions.
//
// A kernel has twelve accumulators that do not depend on each other, more than a core needs to keep
// its units busy (latency 4 times two units). Nothing is loaded or stored in the loop, so that what
// a kernel takes is the units' time and nothing else. Each is compiled for its own instruction set
// and asked for only where the processor and the system have it.

#include <stdint.h>
#include <time.h>

#if defined(__x86_64__)
#include <immintrin.h>
#define REGISTER "v"
#elif defined(__aarch64__)
#include <arm_neon.h>
#define REGISTER "w"
#endif

#define EXPORT extern "C" __attribute__((visibility("default")))
#define TWELVE(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11)

// A kernel of the chosen STEP. Starts differ, or the compiler would keep one chain of twelve.
#define KERNEL(NAME, TARGET, VECTOR, START)                         \
  TARGET void NAME(int64_t rounds) {                                \
    VECTOR a = START(1), b = START(2);                              \
    __asm__ volatile("" : "+" REGISTER(a), "+" REGISTER(b));        \
    VECTOR v0 = START(3), v1 = START(4), v2 = START(5);             \
    VECTOR v3 = START(6), v4 = START(7), v5 = START(8);             \
    VECTOR v6 = START(9), v7 = START(10), v8 = START(11);           \
    VECTOR v9 = START(12), v10 = START(13), v11 = START(14);        \
    for (int64_t round = 0; round < rounds; ++round) {              \
      TWELVE(STEP)                                                  \
      __asm__ volatile("");                                         \
    }                                                               \
    TWELVE(KEEP)                                                    \
  }
#define KEEP(N) __asm__ volatile("" : : REGISTER(v##N));

namespace {

struct Kernel {
  const char* name;
  int64_t operations;  // of a round
  bool (*there)();
  void (*run)(int64_t rounds);
};

// One addition waits for the one before: a round of these takes sixteen cycles.
void additions(int64_t rounds) {
  uint64_t sum = 1, one = 1;
  __asm__ volatile("" : "+r"(one));
#define ADD(N) sum += one; __asm__ volatile("" : "+r"(sum));
  for (int64_t round = 0; round < rounds; ++round) {
    TWELVE(ADD) ADD(12) ADD(13) ADD(14) ADD(15)
  }
}

#if defined(__x86_64__)
#define ON(SETS) __attribute__((target(SETS)))

#define START8(N) _mm256_set1_ps(1e-3f * N)
#define STEP(N) v##N = _mm256_fmadd_ps(v##N, a, b);
KERNEL(float32_avx2, ON("avx2,fma"), __m256, START8)
#undef STEP

#define START16(N) _mm512_set1_ps(1e-3f * N)
#define STEP(N) v##N = _mm512_fmadd_ps(v##N, a, b);
KERNEL(float32_avx512, ON("avx512f"), __m512, START16)
#undef STEP

#define START64(N) _mm512_set1_epi32(N)
#define STEP(N) v##N = _mm512_dpbusd_epi32(v##N, a, b);
KERNEL(int8_avx512, ON("avx512f,avx512vnni"), __m512i, START64)
#undef STEP

#if !defined(__clang__) && __GNUC__ >= 11  // others cannot ask whether it is there
#define START32(N) _mm256_set1_epi32(N)
#define STEP(N) v##N = _mm256_dpbusd_avx_epi32(v##N, a, b);
KERNEL(int8_avx, ON("avx2,avxvnni"), __m256i, START32)
#undef STEP
#define INT8_AVX {"int8 avx_vnni", 12 * 64, [] { return HAS("avxvnni"); }, int8_avx},
#else
#define INT8_AVX
#endif

#define STEP(N) v##N = _mm512_dpbf16_ps(v##N, (__m512bh)a, (__m512bh)b);
KERNEL(bfloat16_avx512, ON("avx512f,avx512bf16"), __m512, START16)
#undef STEP

#define HAS(SET) (__builtin_cpu_supports(SET) != 0)
#elif defined(__aarch64__)
#define START4(N) vdupq_n_f32(1e-3f * N)
#define STEP(N) v##N = vfmaq_f32(v##N, a, b);
KERNEL(float32_neon, , float32x4_t, START4)
#endif

// Asked when it is needed: while a library is being loaded, the processor is not known yet.
const Kernel KERNELS[] = {
    {"additions", 16, [] { return true; }, additions},
#if defined(__x86_64__)
    {"float32 avx2", 12 * 16, [] { return HAS("avx2") && HAS("fma"); }, float32_avx2},
    {"float32 avx512f", 12 * 32, [] { return HAS("avx512f"); }, float32_avx512},
    {"bfloat16 avx512_bf16", 12 * 64, [] { return HAS("avx512bf16"); }, bfloat16_avx512},
    INT8_AVX
    {"int8 avx512_vnni", 12 * 128, [] { return HAS("avx512vnni"); }, int8_avx512},
#elif defined(__aarch64__)
    {"float32 neon", 12 * 8, [] { return true; }, float32_neon},
#endif
};
constexpr int COUNT = sizeof(KERNELS) / sizeof(KERNELS[0]);

int64_t now_ns() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t(now.tv_sec) * 1000000000 + now.tv_nsec;
}

}  // namespace

EXPORT int32_t rtfbench_core_count() { return COUNT; }
EXPORT const char* rtfbench_core_name(int32_t kernel) { return KERNELS[kernel].name; }
EXPORT int32_t rtfbench_core_there(int32_t kernel) { return KERNELS[kernel].there(); }
EXPORT int64_t rtfbench_core_operations(int32_t kernel) { return KERNELS[kernel].operations; }

// Returns the nanoseconds that so many rounds of a kernel take.
EXPORT int64_t rtfbench_core_ns(int32_t kernel, int64_t rounds) {
  const int64_t began = now_ns();
  KERNELS[kernel].run(rounds);
  return now_ns() - began;
}
