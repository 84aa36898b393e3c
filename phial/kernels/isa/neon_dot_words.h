// The words of ARMv8.2's byte products, beside those of neon_words.h. Included inside an anonymous namespace.

struct NeonDotWords : NeonWords {
  struct ByteDot {
    static constexpr int kBias = 0;
    using Sum = int32x4_t;
    static Bytes prepare(Bytes w) { return w; }
    static Sum start(int bias, int32_t x_sum) { return vdupq_n_s32(-bias * x_sum); }
    static void add(Sum& sum, Bytes w, Bytes x) { sum = vdotq_s32(sum, w, x); }
    static I32 total(Sum sum, int, int32_t) { return sum; }
  };
  using NibbleDot = ByteDot;
  using CodeDot = ByteDot;
};
