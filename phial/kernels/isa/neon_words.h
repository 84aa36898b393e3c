// The words of NEON on 64-bit ARM, all but the byte products. Included inside an anonymous namespace.

struct NeonWords {
  static constexpr int kLanes = 4;
  static constexpr int kQueryTile = 4;
  static constexpr int kMixVectors = 4;
  static constexpr int kStreamTokens = 4;
  static constexpr int kStreamRows = 1;
  static constexpr size_t kGemmBlocks = 16;
  static constexpr int kGemmRows = 1;
  static constexpr int kGemmTokens = 3;  // twelve sums and twelve results of 32 registers
  static constexpr int kF32Rows = 1;
  static constexpr int kF32Tokens = 6;  // 24 sums, four columns
  using F32 = float32x4_t;
  using I32 = int32x4_t;
  using Bytes = int8x16_t;

  static F32 zero_f32() { return vdupq_n_f32(0); }
  static F32 set_f32(float value) { return vdupq_n_f32(value); }
  static F32 load_f32(const float* p) { return vld1q_f32(p); }
  static void store_f32(float* p, F32 v) { vst1q_f32(p, v); }
  static F32 load_some_f32(const float* p, size_t n, float fill) {
    float some[kLanes] = {fill, fill, fill, fill};
    memcpy(some, p, n * sizeof *p);
    return load_f32(some);
  }
  static void store_some_f32(float* p, F32 v, size_t n) {
    float some[kLanes];
    store_f32(some, v);
    memcpy(p, some, n * sizeof *p);
  }
  static F32 load_f16(const uint16_t* p) { return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p))); }
  static F32 load_some_f16(const uint16_t* p, size_t n) {
    uint16_t some[kLanes] = {};
    memcpy(some, p, n * sizeof *p);
    return load_f16(some);
  }
  static void store_f16(uint16_t* p, F32 v) { vst1_u16(p, vreinterpret_u16_f16(vcvt_f16_f32(v))); }
  static void store_some_f16(uint16_t* p, F32 v, size_t n) {
    uint16_t some[kLanes];
    store_f16(some, v);
    memcpy(p, some, n * sizeof *p);
  }
  static uint16_t to_f16(float value) {
    uint16_t half;
    store_some_f16(&half, set_f32(value), 1);
    return half;
  }
  static float from_f16(uint16_t half) { return vgetq_lane_f32(load_some_f16(&half, 1), 0); }
  static uint8x8_t four_bytes(const void* p) {
    uint32_t four;
    memcpy(&four, p, sizeof four);
    return vreinterpret_u8_u32(vdup_n_u32(four));
  }
  static F32 load_i8(const int8_t* p) {
    return to_f32(vmovl_s16(vget_low_s16(vmovl_s8(vreinterpret_s8_u8(four_bytes(p))))));
  }
  static F32 load_f8(const uint8_t* p, float unit) {
    const int16x4_t words = vget_low_s16(vmovl_s8(vreinterpret_s8_u8(four_bytes(p))));
    const int16x4_t halves = vand_s16(vshl_n_s16(words, 7), vdup_n_s16(static_cast<int16_t>(0xBFFF)));
    return mul(vcvt_f32_f16(vreinterpret_f16_s16(halves)), set_f32(unit));
  }
  static F32 load_u8(uint8x8_t bytes) { return vcvtq_f32_u32(vmovl_u16(vget_low_u16(vmovl_u8(bytes)))); }
  static F32 load_low_nibbles(const uint8_t* p) { return load_u8(vand_u8(four_bytes(p), vdup_n_u8(15))); }
  static F32 load_high_nibbles(const uint8_t* p) { return load_u8(vshr_n_u8(four_bytes(p), 4)); }

  static F32 add(F32 a, F32 b) { return vaddq_f32(a, b); }
  static F32 sub(F32 a, F32 b) { return vsubq_f32(a, b); }
  static F32 mul(F32 a, F32 b) { return vmulq_f32(a, b); }
  static F32 div(F32 a, F32 b) { return vdivq_f32(a, b); }
  static F32 max(F32 a, F32 b) { return vmaxq_f32(a, b); }
  static F32 abs(F32 a) { return vabsq_f32(a); }
  static F32 sqrt(F32 a) { return vsqrtq_f32(a); }
  static F32 fma(F32 a, F32 b, F32 c) { return vfmaq_f32(c, a, b); }
  static F32 fnma(F32 a, F32 b, F32 c) { return vfmsq_f32(c, a, b); }
  static F32 mul_add(F32 a, F32 b, F32 c) { return fma(a, b, c); }
  static F32 round(F32 a) { return vrndnq_f32(a); }
  static F32 if_negative(F32 x, F32 a, F32 b) { return vbslq_f32(vcltzq_f32(x), a, b); }
  // In two halves, since 2^n itself may be no float.
  static F32 times_power_of_2(F32 x, F32 n) {
    const I32 whole = vcvtq_s32_f32(n);
    const I32 half = vshrq_n_s32(whole, 1);
    return mul(mul(x, power_of_2(half)), power_of_2(vsubq_s32(whole, half)));
  }
  static F32 power_of_2(I32 n) { return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(n, vdupq_n_s32(127)), 23)); }

  static float add_across(F32 v) { return vaddvq_f32(v); }
  static float max_across(F32 v) { return vmaxvq_f32(v); }
  static void store_sums4(float* p, F32 a, F32 b, F32 c, F32 d, float scale) {
    store_f32(p, mul(vpaddq_f32(vpaddq_f32(a, b), vpaddq_f32(c, d)), set_f32(scale)));
  }

  static I32 set_i32(int32_t value) { return vdupq_n_s32(value); }
  static I32 load_i32(const uint32_t* p) { return vreinterpretq_s32_u32(vld1q_u32(p)); }
  static I32 add_i32(I32 a, I32 b) { return vaddq_s32(a, b); }
  static int32_t add_across_i32(I32 v) { return vaddvq_s32(v); }
  static F32 to_f32(I32 v) { return vcvtq_f32_s32(v); }
  static I32 to_i32(F32 v) { return vcvtnq_s32_f32(v); }
  static void store_i8(int8_t* p, I32 v) {
    const int16x4_t words = vqmovn_s32(v);
    const int8x8_t bytes = vqmovn_s16(vcombine_s16(words, words));
    vst1_lane_s32(reinterpret_cast<int32_t*>(p), vreinterpret_s32_s8(bytes), 0);
  }

  static void forget(Bytes& v) { asm volatile("" : "+w"(v)); }
  static F32 held(F32 v) { return v; }  // no instruction of ARM multiplies what stands in memory
  static Bytes load_bytes(const void* p) { return vld1q_s8(static_cast<const int8_t*>(p)); }
  static void store_bytes(void* p, Bytes v) { vst1q_s8(static_cast<int8_t*>(p), v); }
  static Bytes low_nibbles(Bytes v) { return vandq_s8(v, vdupq_n_s8(15)); }
  static Bytes high_nibbles(Bytes v) { return vreinterpretq_s8_u8(vshrq_n_u8(vreinterpretq_u8_s8(v), 4)); }
  template <int kShift, int kMask>
  static Bytes bits(Bytes v) {
    uint8x16_t bytes = vreinterpretq_u8_s8(v);
    if constexpr (kShift > 0) bytes = vshrq_n_u8(bytes, kShift);
    return vreinterpretq_s8_u8(vandq_u8(bytes, vdupq_n_u8(kMask)));
  }
  static Bytes either(Bytes a, Bytes b) { return vorrq_s8(a, b); }
  static Bytes load_table(const uint8_t* p) { return vreinterpretq_s8_u8(vld1q_u8(p)); }
  static Bytes look_up(Bytes table, Bytes v) { return vqtbl1q_s8(table, vreinterpretq_u8_s8(v)); }
  static Bytes repeat4(const int8_t* p) {
    int32_t four;
    memcpy(&four, p, sizeof four);
    return vreinterpretq_s8_s32(vdupq_n_s32(four));
  }
};
