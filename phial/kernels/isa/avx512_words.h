// The words of AVX-512 (F, BW, DQ, VL), all but the byte products. Included inside an anonymous namespace.

struct Avx512Words {
  static constexpr int kLanes = 16;
  static constexpr int kQueryTile = 4;
  static constexpr int kMixVectors = 6;
  static constexpr int kStreamTokens = 8;
  static constexpr int kStreamRows = 2;
  static constexpr size_t kGemmBlocks = 16;
  static constexpr int kGemmRows = 2;
  static constexpr int kGemmTokens = 6;  // twelve sums and twelve results of 32 registers
  static constexpr int kF32Rows = 2;
  static constexpr int kF32Tokens = 12;  // 24 sums: more than two multiply-adds a cycle for their latency of four
  using F32 = __m512;
  using I32 = __m512i;
  using Bytes = __m512i;

  static F32 zero_f32() { return _mm512_setzero_ps(); }
  static F32 set_f32(float value) { return _mm512_set1_ps(value); }
  static F32 load_f32(const float* p) { return _mm512_loadu_ps(p); }
  static void store_f32(float* p, F32 v) { _mm512_storeu_ps(p, v); }
  static __mmask16 first_lanes(size_t n) { return static_cast<__mmask16>((1U << n) - 1); }
  static F32 load_some_f32(const float* p, size_t n, float fill) {
    return _mm512_mask_loadu_ps(set_f32(fill), first_lanes(n), p);
  }
  static void store_some_f32(float* p, F32 v, size_t n) { _mm512_mask_storeu_ps(p, first_lanes(n), v); }
  static F32 load_f16(const uint16_t* p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  static F32 load_some_f16(const uint16_t* p, size_t n) {
    return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(first_lanes(n), p));
  }
  static void store_f16(uint16_t* p, F32 v) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
  }
  static void store_some_f16(uint16_t* p, F32 v, size_t n) {
    _mm256_mask_storeu_epi16(p, first_lanes(n), _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
  }
  static uint16_t to_f16(float value) { return static_cast<uint16_t>(_cvtss_sh(value, _MM_FROUND_TO_NEAREST_INT)); }
  static float from_f16(uint16_t half) { return _cvtsh_ss(half); }
  static F32 load_i8(const int8_t* p) {
    return to_f32(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
  }
  static F32 load_f8(const uint8_t* p, float unit) {
    const __m256i words = _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
    const __m256i halves =
        _mm256_and_si256(_mm256_slli_epi16(words, 7), _mm256_set1_epi16(static_cast<int16_t>(0xBFFF)));
    return mul(_mm512_cvtph_ps(halves), set_f32(unit));
  }
  static I32 load_u8(const uint8_t* p) {
    return _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  static F32 load_low_nibbles(const uint8_t* p) { return to_f32(_mm512_and_si512(load_u8(p), _mm512_set1_epi32(15))); }
  static F32 load_high_nibbles(const uint8_t* p) { return to_f32(_mm512_srli_epi32(load_u8(p), 4)); }

  static F32 add(F32 a, F32 b) { return _mm512_add_ps(a, b); }
  static F32 sub(F32 a, F32 b) { return _mm512_sub_ps(a, b); }
  static F32 mul(F32 a, F32 b) { return _mm512_mul_ps(a, b); }
  static F32 div(F32 a, F32 b) { return _mm512_div_ps(a, b); }
  static F32 max(F32 a, F32 b) { return _mm512_max_ps(a, b); }
  static F32 abs(F32 a) { return _mm512_andnot_ps(set_f32(-0.0F), a); }
  static F32 sqrt(F32 a) { return _mm512_sqrt_ps(a); }
  static F32 fma(F32 a, F32 b, F32 c) { return _mm512_fmadd_ps(a, b, c); }
  static F32 fnma(F32 a, F32 b, F32 c) { return _mm512_fnmadd_ps(a, b, c); }
  static F32 mul_add(F32 a, F32 b, F32 c) { return fma(a, b, c); }
  static F32 round(F32 a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
  static F32 if_negative(F32 x, F32 a, F32 b) {
    return _mm512_mask_mov_ps(b, _mm512_cmp_ps_mask(x, zero_f32(), _CMP_LT_OQ), a);
  }
  static F32 times_power_of_2(F32 x, F32 n) { return _mm512_scalef_ps(x, n); }

  // Trees: halves, quarters, then as in store_sums4.
  static __m128 add_quarters(F32 v) {
    const __m256 half = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    return _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
  }
  static float add_across(F32 v) {
    __m128 four = add_quarters(v);
    four = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(four, _mm_movehdup_ps(four)));
  }
  static float max_across(F32 v) { return _mm512_reduce_max_ps(v); }
  static void store_sums4(float* p, F32 a, F32 b, F32 c, F32 d, float scale) {
    const F32 ab = add(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
    const F32 cd = add(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
    const F32 even = _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(ab), _mm512_castps_pd(cd)));
    const F32 odd = _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(ab), _mm512_castps_pd(cd)));
    _mm_storeu_ps(p, _mm_mul_ps(add_quarters(add(even, odd)), _mm_set1_ps(scale)));
  }

  static I32 set_i32(int32_t value) { return _mm512_set1_epi32(value); }
  static I32 load_i32(const uint32_t* p) { return _mm512_loadu_si512(p); }
  static I32 add_i32(I32 a, I32 b) { return _mm512_add_epi32(a, b); }
  // Not _mm512_reduce_add_epi32: g++ adds its last two as ints, which may not overflow.
  static int32_t add_across_i32(I32 v) {
    const __m256i half = _mm256_add_epi32(_mm512_castsi512_si256(v), _mm512_extracti64x4_epi64(v, 1));
    __m128i four = _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
    four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4E));
    return _mm_cvtsi128_si32(_mm_add_epi32(four, _mm_shuffle_epi32(four, 0xB1)));
  }
  static F32 to_f32(I32 v) { return _mm512_cvtepi32_ps(v); }
  static I32 to_i32(F32 v) { return _mm512_cvtps_epi32(v); }
  static void store_i8(int8_t* p, I32 v) { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(v)); }

  static void forget(Bytes& v) { asm volatile("" : "+v"(v)); }
  static F32 held(F32 v) {
    asm("" : "+v"(v));
    return v;
  }
  static Bytes load_bytes(const void* p) { return _mm512_loadu_si512(p); }
  static void store_bytes(void* p, Bytes v) { _mm512_storeu_si512(p, v); }
  static Bytes low_nibbles(Bytes v) { return _mm512_and_si512(v, _mm512_set1_epi8(15)); }
  static Bytes high_nibbles(Bytes v) { return low_nibbles(_mm512_srli_epi16(v, 4)); }
  template <int kShift, int kMask>
  static Bytes bits(Bytes v) {
    return _mm512_and_si512(_mm512_srli_epi16(v, kShift), _mm512_set1_epi8(kMask));
  }
  static Bytes either(Bytes a, Bytes b) { return _mm512_or_si512(a, b); }
  static Bytes load_table(const uint8_t* p) {
    return _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  static Bytes look_up(Bytes table, Bytes v) { return _mm512_shuffle_epi8(table, v); }
  static Bytes repeat4(const int8_t* p) {
    int32_t four;
    memcpy(&four, p, sizeof four);
    return _mm512_set1_epi32(four);
  }
};
