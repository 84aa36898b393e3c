// The words of WebAssembly's SIMD, all but fused multiply-adds and byte products. Included inside an anonymous
// namespace.

struct WasmWords {
  static constexpr int kLanes = 4;
  static constexpr int kQueryTile = 2;
  static constexpr int kMixVectors = 4;
  static constexpr int kStreamTokens = 4;
  static constexpr int kStreamRows = 1;
  static constexpr size_t kGemmBlocks = 16;
  static constexpr int kGemmRows = 1;
  static constexpr int kGemmTokens = 2;  // an engine has the registers of its machine: 16 on x86
  static constexpr int kF32Rows = 1;
  static constexpr int kF32Tokens = 2;
  using F32 = v128_t;
  using I32 = v128_t;
  using Bytes = v128_t;

  static F32 zero_f32() { return wasm_f32x4_const_splat(0); }
  static F32 set_f32(float value) { return wasm_f32x4_splat(value); }
  static F32 load_f32(const float* p) { return wasm_v128_load(p); }
  static void store_f32(float* p, F32 v) { wasm_v128_store(p, v); }
  static F32 load_some_f32(const float* p, size_t n, float fill) {
    float some[kLanes] = {fill, fill, fill, fill};
    for (size_t i = 0; i < n; ++i) some[i] = p[i];
    return load_f32(some);
  }
  static void store_some_f32(float* p, F32 v, size_t n) {
    float some[kLanes];
    store_f32(some, v);
    for (size_t i = 0; i < n; ++i) p[i] = some[i];
  }

  // A half's exponent and fraction where those of a float stand are 2^-112 of it, also below the smallest normal half.
  static F32 from_halves(I32 shifted) {
    const F32 value = mul(shifted, set_f32(0x1p112F));
    const I32 is_infinite = wasm_f32x4_ge(abs(value), set_f32(65536));  // or NaN
    return wasm_v128_or(value, wasm_v128_and(is_infinite, wasm_i32x4_const_splat(0x7F800000)));
  }
  static F32 load_f16(const uint16_t* p) {
    const I32 words = wasm_i32x4_shl(wasm_i32x4_load16x4(p), 13);  // with copies of the sign
    return from_halves(wasm_v128_and(words, wasm_i32x4_const_splat(static_cast<int32_t>(0x8FFFE000))));
  }
  static F32 load_some_f16(const uint16_t* p, size_t n) {
    uint16_t some[kLanes] = {};
    for (size_t i = 0; i < n; ++i) some[i] = p[i];
    return load_f16(some);
  }
  // As tensor/half.h: what is too small for a normal half is rounded by adding 0.5.
  static I32 to_halves(F32 v) {
    const I32 magnitude = wasm_v128_and(v, wasm_i32x4_const_splat(0x7FFFFFFF));
    const I32 finite = wasm_i32x4_min(magnitude, wasm_i32x4_const_splat(0x47800000));  // 2^16 rounds to infinity
    const I32 odd = wasm_v128_and(wasm_u32x4_shr(finite, 13), wasm_i32x4_const_splat(1));
    const I32 normal =
        wasm_u32x4_shr(wasm_i32x4_add(wasm_i32x4_add(finite, odd), wasm_i32x4_const_splat(0xFFF - 0x38000000)), 13);
    const I32 subnormal = wasm_i32x4_sub(add(magnitude, set_f32(0.5F)), wasm_i32x4_const_splat(0x3F000000));
    I32 half = wasm_v128_bitselect(subnormal, normal, wasm_i32x4_lt(magnitude, wasm_i32x4_const_splat(0x38800000)));
    half = wasm_v128_bitselect(wasm_i32x4_const_splat(0x7E00), half, wasm_f32x4_ne(v, v));
    half = wasm_v128_or(half, wasm_v128_and(wasm_u32x4_shr(v, 16), wasm_i32x4_const_splat(0x8000)));
    return wasm_u16x8_narrow_i32x4(half, half);
  }
  static void store_f16(uint16_t* p, F32 v) { wasm_v128_store64_lane(p, to_halves(v), 0); }
  static void store_some_f16(uint16_t* p, F32 v, size_t n) {
    uint16_t some[kLanes];
    store_f16(some, v);
    for (size_t i = 0; i < n; ++i) p[i] = some[i];
  }
  static uint16_t to_f16(float value) { return wasm_u16x8_extract_lane(to_halves(set_f32(value)), 0); }
  static float from_f16(uint16_t half) { return wasm_f32x4_extract_lane(load_some_f16(&half, 1), 0); }
  static I32 load_four(const void* p) {
    return wasm_i32x4_extend_low_i16x8(wasm_i16x8_extend_low_i8x16(wasm_v128_load32_zero(p)));
  }
  static F32 load_i8(const int8_t* p) { return to_f32(load_four(p)); }
  static F32 load_f8(const uint8_t* p, float unit) {
    const I32 words = wasm_i32x4_shl(load_four(p), 20);  // with copies of the sign
    const F32 value = wasm_v128_and(words, wasm_i32x4_const_splat(static_cast<int32_t>(0x87F00000)));
    return mul(mul(value, set_f32(0x1p112F)), set_f32(unit));
  }
  static I32 load_u8(const uint8_t* p) {
    return wasm_u32x4_extend_low_u16x8(wasm_u16x8_extend_low_u8x16(wasm_v128_load32_zero(p)));
  }
  static F32 load_low_nibbles(const uint8_t* p) {
    return to_f32(wasm_v128_and(load_u8(p), wasm_i32x4_const_splat(15)));
  }
  static F32 load_high_nibbles(const uint8_t* p) { return to_f32(wasm_u32x4_shr(load_u8(p), 4)); }

  static F32 add(F32 a, F32 b) { return wasm_f32x4_add(a, b); }
  static F32 sub(F32 a, F32 b) { return wasm_f32x4_sub(a, b); }
  static F32 mul(F32 a, F32 b) { return wasm_f32x4_mul(a, b); }
  static F32 div(F32 a, F32 b) { return wasm_f32x4_div(a, b); }
  static F32 max(F32 a, F32 b) { return wasm_f32x4_pmax(b, a); }  // a where b < a
  static F32 abs(F32 a) { return wasm_f32x4_abs(a); }
  static F32 sqrt(F32 a) { return wasm_f32x4_sqrt(a); }
  static F32 round(F32 a) { return wasm_f32x4_nearest(a); }
  static F32 if_negative(F32 x, F32 a, F32 b) { return wasm_v128_bitselect(a, b, wasm_f32x4_lt(x, zero_f32())); }
  // In two halves, since 2^n itself may be no float.
  static F32 times_power_of_2(F32 x, F32 n) {
    const I32 whole = wasm_i32x4_trunc_sat_f32x4(n);
    const I32 half = wasm_i32x4_shr(whole, 1);
    return mul(mul(x, power_of_2(half)), power_of_2(wasm_i32x4_sub(whole, half)));
  }
  static F32 power_of_2(I32 n) { return wasm_i32x4_shl(wasm_i32x4_add(n, wasm_i32x4_const_splat(127)), 23); }

  // Every lane's partner in the other half, then its neighbour.
  static I32 swap_halves(I32 v) { return wasm_i32x4_shuffle(v, v, 2, 3, 0, 1); }
  static I32 swap_neighbours(I32 v) { return wasm_i32x4_shuffle(v, v, 1, 0, 3, 2); }
  static float add_across(F32 v) {
    const F32 two = add(v, swap_halves(v));
    return wasm_f32x4_extract_lane(add(two, swap_neighbours(two)), 0);
  }
  static float max_across(F32 v) {
    const F32 two = max(v, swap_halves(v));
    return wasm_f32x4_extract_lane(max(two, swap_neighbours(two)), 0);
  }
  static F32 add_pairs(F32 a, F32 b) {
    return add(wasm_i32x4_shuffle(a, b, 0, 2, 4, 6), wasm_i32x4_shuffle(a, b, 1, 3, 5, 7));
  }
  static void store_sums4(float* p, F32 a, F32 b, F32 c, F32 d, float scale) {
    store_f32(p, mul(add_pairs(add_pairs(a, b), add_pairs(c, d)), set_f32(scale)));
  }

  static I32 set_i32(int32_t value) { return wasm_i32x4_splat(value); }
  static I32 load_i32(const uint32_t* p) { return wasm_v128_load(p); }
  static I32 add_i32(I32 a, I32 b) { return wasm_i32x4_add(a, b); }
  static int32_t add_across_i32(I32 v) {
    const I32 two = wasm_i32x4_add(v, swap_halves(v));
    return wasm_i32x4_extract_lane(wasm_i32x4_add(two, swap_neighbours(two)), 0);
  }
  static F32 to_f32(I32 v) { return wasm_f32x4_convert_i32x4(v); }
  static I32 to_i32(F32 v) { return wasm_i32x4_trunc_sat_f32x4(round(v)); }
  static void store_i8(int8_t* p, I32 v) {
    const v128_t words = wasm_i16x8_narrow_i32x4(v, v);
    wasm_v128_store32_lane(p, wasm_i8x16_narrow_i16x8(words, words), 0);
  }

  static void forget(Bytes& v) { asm volatile("" : "+m"(v)); }  // clang 19 has no vectors in the registers of asm
  static F32 held(F32 v) { return v; }
  static Bytes load_bytes(const void* p) { return wasm_v128_load(p); }
  static void store_bytes(void* p, Bytes v) { wasm_v128_store(p, v); }
  static Bytes low_nibbles(Bytes v) { return bits<0, 15>(v); }
  static Bytes high_nibbles(Bytes v) { return bits<4, 15>(v); }
  template <int kShift, int kMask>
  static Bytes bits(Bytes v) {
    return wasm_v128_and(wasm_u16x8_shr(v, kShift), wasm_i8x16_const_splat(kMask));
  }
  static Bytes either(Bytes a, Bytes b) { return wasm_v128_or(a, b); }
  static Bytes load_table(const uint8_t* p) { return wasm_v128_load(p); }
  static Bytes look_up(Bytes table, Bytes v) { return wasm_i8x16_swizzle(table, v); }
  static Bytes repeat4(const int8_t* p) { return wasm_v128_load32_splat(p); }
};
