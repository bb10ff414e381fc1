#include <openssl/bn.h>
#include <openssl/crypto.h>

#include <algorithm>
#include <limits>

#include "policy/value/number.h"

namespace coffer::policy {
namespace {

BIGNUM* new_bn() {
  BIGNUM* bn = BN_new();
  check(bn != nullptr, "BN_new: out of memory");
  return bn;
}

void ok(int result) { check(result != 0, "BIGNUM operation: out of memory"); }

// One context a thread: BN_CTX is scratch memory only.
BN_CTX* scratch() {
  struct Holder {
    BN_CTX* ctx = BN_CTX_new();
    Holder() { check(ctx != nullptr, "BN_CTX_new: out of memory"); }
    ~Holder() { BN_CTX_free(ctx); }
    Holder(const Holder&) = delete;
    Holder& operator=(const Holder&) = delete;
  };
  thread_local const Holder holder;
  return holder.ctx;
}

}  // namespace

void BigInt::Free::operator()(bignum_st* bn) const { BN_free(bn); }

BigInt::BigInt() : bn_(new_bn()) {}
BigInt::BigInt(std::int64_t n) : BigInt() {
  const bool negative = n < 0;
  const std::uint64_t magnitude =
      negative ? ~static_cast<std::uint64_t>(n) + 1 : static_cast<std::uint64_t>(n);
  ok(BN_set_word(bn_.get(), magnitude));
  BN_set_negative(bn_.get(), negative ? 1 : 0);
}
BigInt::BigInt(const BigInt& other) : bn_(BN_dup(other.bn_.get())) {
  check(bn_ != nullptr, "BN_dup: out of memory");
}
BigInt& BigInt::operator=(const BigInt& other) {
  if (this != &other) *this = BigInt(other);
  return *this;
}

std::optional<BigInt> BigInt::parse(std::string_view text, int base) {
  const std::string copy(text);
  std::string_view digits = text;
  if (!digits.empty() && (digits.front() == '-' || digits.front() == '+')) digits.remove_prefix(1);
  const std::string_view alphabet = base == 16 ? "0123456789abcdefABCDEF" : "0123456789";
  if (digits.empty() || digits.find_first_not_of(alphabet) != std::string_view::npos)
    return std::nullopt;
  BigInt n;
  BIGNUM* raw = n.bn_.get();
  const char* start = copy.c_str() + (copy.front() == '+' ? 1 : 0);
  const int used = base == 16 ? BN_hex2bn(&raw, start) : BN_dec2bn(&raw, start);
  if (used == 0) return std::nullopt;
  return n;
}

std::string BigInt::to_decimal() const {
  char* text = BN_bn2dec(bn_.get());
  check(text != nullptr, "BN_bn2dec: out of memory");
  std::string out(text);
  OPENSSL_free(text);
  return out;
}

std::string BigInt::to_base(unsigned base) const {
  if (base == 10) return to_decimal();
  if (is_zero()) return "0";
  std::string out;
  const BigInt rest = abs();
  while (!rest.is_zero()) {
    const BN_ULONG digit = BN_div_word(rest.bn_.get(), base);
    out.push_back("0123456789abcdefghijklmnopqrstuvwxyz"[digit % 36]);
  }
  if (is_negative()) out.push_back('-');
  std::reverse(out.begin(), out.end());
  return out;
}

std::optional<std::int64_t> BigInt::to_int64() const {
  if (BN_num_bits(bn_.get()) > 64) return std::nullopt;
  const std::uint64_t magnitude = BN_get_word(bn_.get());
  constexpr std::uint64_t kMax = std::numeric_limits<std::int64_t>::max();
  if (is_negative()) {
    if (magnitude > kMax + 1) return std::nullopt;
    return static_cast<std::int64_t>(~magnitude + 1);
  }
  if (magnitude > kMax) return std::nullopt;
  return static_cast<std::int64_t>(magnitude);
}

bool BigInt::is_zero() const { return BN_is_zero(bn_.get()) != 0; }
bool BigInt::is_negative() const { return BN_is_negative(bn_.get()) != 0; }
int BigInt::bits() const { return BN_num_bits(bn_.get()); }
int BigInt::compare(const BigInt& other) const { return BN_cmp(bn_.get(), other.bn_.get()); }

BigInt BigInt::operator+(const BigInt& other) const {
  BigInt out;
  ok(BN_add(out.bn_.get(), bn_.get(), other.bn_.get()));
  return out;
}
BigInt BigInt::operator-(const BigInt& other) const {
  BigInt out;
  ok(BN_sub(out.bn_.get(), bn_.get(), other.bn_.get()));
  return out;
}
BigInt BigInt::operator*(const BigInt& other) const {
  BigInt out;
  ok(BN_mul(out.bn_.get(), bn_.get(), other.bn_.get(), scratch()));
  return out;
}
BigInt BigInt::quotient(const BigInt& divisor) const {
  BigInt out;
  ok(BN_div(out.bn_.get(), nullptr, bn_.get(), divisor.bn_.get(), scratch()));
  return out;
}
BigInt BigInt::remainder(const BigInt& divisor) const {
  BigInt out;
  ok(BN_div(nullptr, out.bn_.get(), bn_.get(), divisor.bn_.get(), scratch()));
  return out;
}
BigInt BigInt::operator-() const {
  BigInt out(*this);
  BN_set_negative(out.bn_.get(), is_negative() || is_zero() ? 0 : 1);
  return out;
}
BigInt BigInt::abs() const { return is_negative() ? -*this : *this; }

BigInt BigInt::bit_not() const { return -(*this + BigInt(1)); }

namespace {

// Little-endian two's complement of `bytes` bytes.
std::vector<unsigned char> twos_complement(const BIGNUM* bn, std::size_t bytes) {
  std::vector<unsigned char> out(bytes);
  ok(BN_bn2lebinpad(bn, out.data(), static_cast<int>(bytes)) < 0 ? 0 : 1);
  if (BN_is_negative(bn) != 0) {
    unsigned carry = 1;
    for (auto& byte : out) {
      const unsigned sum = (static_cast<unsigned>(byte) ^ 0xffU) + carry;
      byte = static_cast<unsigned char>(sum & 0xffU);
      carry = sum >> 8U;
    }
  }
  return out;
}

}  // namespace

template <typename Op>
static std::pair<std::vector<unsigned char>, bool> bitwise(const BIGNUM* a, const BIGNUM* b,
                                                           Op op) {
  const int bits = std::max(BN_num_bits(a), BN_num_bits(b)) + 1;
  const auto bytes = static_cast<std::size_t>(bits) / 8 + 1;
  auto x = twos_complement(a, bytes);
  const auto y = twos_complement(b, bytes);
  for (std::size_t i = 0; i < bytes; ++i) x[i] = static_cast<unsigned char>(op(x[i], y[i]));
  const bool negative = (x.back() & 0x80U) != 0;
  if (negative) {
    unsigned carry = 1;
    for (auto& byte : x) {
      const unsigned sum = (static_cast<unsigned>(byte) ^ 0xffU) + carry;
      byte = static_cast<unsigned char>(sum & 0xffU);
      carry = sum >> 8U;
    }
  }
  return {std::move(x), negative};
}

static void assign(BIGNUM* out, const std::pair<std::vector<unsigned char>, bool>& value) {
  const auto* result = BN_lebin2bn(value.first.data(), static_cast<int>(value.first.size()), out);
  ok(result != nullptr ? 1 : 0);
  BN_set_negative(out, value.second ? 1 : 0);
}

BigInt BigInt::bit_and(const BigInt& other) const {
  BigInt out;
  assign(out.bn_.get(),
         bitwise(bn_.get(), other.bn_.get(), [](unsigned a, unsigned b) { return a & b; }));
  return out;
}
BigInt BigInt::bit_or(const BigInt& other) const {
  BigInt out;
  assign(out.bn_.get(),
         bitwise(bn_.get(), other.bn_.get(), [](unsigned a, unsigned b) { return a | b; }));
  return out;
}
BigInt BigInt::bit_xor(const BigInt& other) const {
  BigInt out;
  assign(out.bn_.get(),
         bitwise(bn_.get(), other.bn_.get(), [](unsigned a, unsigned b) { return a ^ b; }));
  return out;
}
BigInt BigInt::shift_left(unsigned bits) const {
  BigInt out;
  ok(BN_lshift(out.bn_.get(), bn_.get(), static_cast<int>(bits)));
  return out;
}
BigInt BigInt::shift_right(unsigned bits) const {
  if (is_negative()) return bit_not().shift_right(bits).bit_not();
  BigInt out;
  ok(BN_rshift(out.bn_.get(), bn_.get(), static_cast<int>(bits)));
  return out;
}

}  // namespace coffer::policy
