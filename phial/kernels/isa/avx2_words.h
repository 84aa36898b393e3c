// The words of AVX2 with FMA and F16C (Haswell): all but the byte products, which newer CPUs say differently.
// Included inside an anonymous namespace by each file that speaks them.

struct Avx2Words {
  static constexpr int kLanes = 8;
  static constexpr int kQueryTile = 3;
  static constexpr int kMixVectors = 4;
  static constexpr int kStreamTokens = 4;
  static constexpr int kStreamRows = 4;
  static constexpr size_t kGemmBlocks = 32;
  static constexpr int kGemmRows = 1;
  static constexpr int kGemmTokens = 5;
  static constexpr int kF32Rows = 1;
  static constexpr int kF32Tokens = 6;  // 12 sums, two columns and a number: all 16 registers
  using F32 = __m256;
  using I32 = __m256i;
  using Bytes = __m256i;

  static F32 zero_f32() { return _mm256_setzero_ps(); }
  static F32 set_f32(float value) { return _mm256_set1_ps(value); }
  static F32 load_f32(const float* p) { return _mm256_loadu_ps(p); }
  static void store_f32(float* p, F32 v) { _mm256_storeu_ps(p, v); }
  static I32 first_lanes(size_t n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }
  static F32 load_some_f32(const float* p, size_t n, float fill) {
    const I32 lanes = first_lanes(n);
    return _mm256_blendv_ps(set_f32(fill), _mm256_maskload_ps(p, lanes), _mm256_castsi256_ps(lanes));
  }
  static void store_some_f32(float* p, F32 v, size_t n) { _mm256_maskstore_ps(p, first_lanes(n), v); }
  static F32 load_f16(const uint16_t* p) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  static F32 load_some_f16(const uint16_t* p, size_t n) {
    uint16_t some[kLanes] = {};
    memcpy(some, p, n * sizeof *p);
    return load_f16(some);
  }
  static void store_f16(uint16_t* p, F32 v) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
  }
  static void store_some_f16(uint16_t* p, F32 v, size_t n) {
    uint16_t some[kLanes];
    store_f16(some, v);
    memcpy(p, some, n * sizeof *p);
  }
  static uint16_t to_f16(float value) { return static_cast<uint16_t>(_cvtss_sh(value, _MM_FROUND_TO_NEAREST_INT)); }
  static float from_f16(uint16_t half) { return _cvtsh_ss(half); }
  static F32 load_i8(const int8_t* p) {
    return to_f32(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
  }
  static F32 load_f8(const uint8_t* p, float unit) {
    const __m128i words = _mm_cvtepi8_epi16(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
    const __m128i halves = _mm_and_si128(_mm_slli_epi16(words, 7), _mm_set1_epi16(static_cast<int16_t>(0xBFFF)));
    return mul(_mm256_cvtph_ps(halves), set_f32(unit));
  }
  static I32 load_u8(const uint8_t* p) {
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
  }
  static F32 load_low_nibbles(const uint8_t* p) { return to_f32(_mm256_and_si256(load_u8(p), _mm256_set1_epi32(15))); }
  static F32 load_high_nibbles(const uint8_t* p) { return to_f32(_mm256_srli_epi32(load_u8(p), 4)); }

  static F32 add(F32 a, F32 b) { return _mm256_add_ps(a, b); }
  static F32 sub(F32 a, F32 b) { return _mm256_sub_ps(a, b); }
  static F32 mul(F32 a, F32 b) { return _mm256_mul_ps(a, b); }
  static F32 div(F32 a, F32 b) { return _mm256_div_ps(a, b); }
  static F32 max(F32 a, F32 b) { return _mm256_max_ps(a, b); }
  static F32 abs(F32 a) { return _mm256_andnot_ps(set_f32(-0.0F), a); }
  static F32 sqrt(F32 a) { return _mm256_sqrt_ps(a); }
  static F32 fma(F32 a, F32 b, F32 c) { return _mm256_fmadd_ps(a, b, c); }
  static F32 fnma(F32 a, F32 b, F32 c) { return _mm256_fnmadd_ps(a, b, c); }
  static F32 mul_add(F32 a, F32 b, F32 c) { return fma(a, b, c); }
  static F32 round(F32 a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
  static F32 if_negative(F32 x, F32 a, F32 b) {
    return _mm256_blendv_ps(b, a, _mm256_cmp_ps(x, zero_f32(), _CMP_LT_OQ));
  }
  // In two halves, since 2^n itself may be no float.
  static F32 times_power_of_2(F32 x, F32 n) {
    const I32 whole = _mm256_cvtps_epi32(n);
    const I32 half = _mm256_srai_epi32(whole, 1);
    return mul(mul(x, power_of_2(half)), power_of_2(_mm256_sub_epi32(whole, half)));
  }
  static F32 power_of_2(I32 n) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n, _mm256_set1_epi32(127)), 23));
  }

  static float add_across(F32 v) {
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    four = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(four, _mm_movehdup_ps(four)));
  }
  static float max_across(F32 v) {
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    four = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(four, _mm_movehdup_ps(four)));
  }
  static void store_sums4(float* p, F32 a, F32 b, F32 c, F32 d, float scale) {
    const F32 halves = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
    const __m128 sums = _mm_add_ps(_mm256_castps256_ps128(halves), _mm256_extractf128_ps(halves, 1));
    _mm_storeu_ps(p, _mm_mul_ps(sums, _mm_set1_ps(scale)));
  }

  static I32 set_i32(int32_t value) { return _mm256_set1_epi32(value); }
  static I32 load_i32(const uint32_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
  static I32 add_i32(I32 a, I32 b) { return _mm256_add_epi32(a, b); }
  static int32_t add_across_i32(I32 v) {
    __m128i four = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4E));
    return _mm_cvtsi128_si32(_mm_add_epi32(four, _mm_shuffle_epi32(four, 0xB1)));
  }
  static F32 to_f32(I32 v) { return _mm256_cvtepi32_ps(v); }
  static I32 to_i32(F32 v) { return _mm256_cvtps_epi32(v); }
  static void store_i8(int8_t* p, I32 v) {
    const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packs_epi16(words, words));
  }

  static void forget(Bytes& v) { asm volatile("" : "+x"(v)); }
  static F32 held(F32 v) {
    asm("" : "+x"(v));
    return v;
  }
  static Bytes load_bytes(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
  static void store_bytes(void* p, Bytes v) { _mm256_storeu_si256(static_cast<__m256i*>(p), v); }
  static Bytes low_nibbles(Bytes v) { return _mm256_and_si256(v, _mm256_set1_epi8(15)); }
  static Bytes high_nibbles(Bytes v) { return low_nibbles(_mm256_srli_epi16(v, 4)); }
  template <int kShift, int kMask>
  static Bytes bits(Bytes v) {
    return _mm256_and_si256(_mm256_srli_epi16(v, kShift), _mm256_set1_epi8(kMask));
  }
  static Bytes either(Bytes a, Bytes b) { return _mm256_or_si256(a, b); }
  static Bytes load_table(const uint8_t* p) {
    return _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  static Bytes look_up(Bytes table, Bytes v) { return _mm256_shuffle_epi8(table, v); }
  static Bytes repeat4(const int8_t* p) {
    int32_t four;
    memcpy(&four, p, sizeof four);
    return _mm256_set1_epi32(four);
  }
};
