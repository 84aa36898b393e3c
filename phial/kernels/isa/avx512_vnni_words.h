// The byte products of AVX-512's VNNI, beside the words of avx512_words.h. Included inside an anonymous namespace.

struct Avx512VnniWords : Avx512Words {
  struct NibbleDot {
    using Sum = __m512i;
    static Sum start(int bias, int32_t x_sum) { return _mm512_set1_epi32(-bias * x_sum); }
    static void add(Sum& sum, Bytes w, Bytes x) { sum = _mm512_dpbusd_epi32(sum, w, x); }
    static I32 total(Sum sum, int, int32_t) { return sum; }
  };
  using CodeDot = NibbleDot;
  // The instruction wants its first factor unsigned: w + 128.
  struct ByteDot : NibbleDot {
    static constexpr int kBias = 128;
    static Bytes prepare(Bytes w) { return _mm512_xor_si512(w, _mm512_set1_epi8(-128)); }
  };
};
