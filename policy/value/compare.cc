// Order, equality and hashes of values. Recursion goes as deep as a value, which is bounded.
#include <bit>
#include <cstring>

#include "policy/value/number.h"
#include "policy/value/value.h"

namespace coffer::policy {
namespace {

constexpr std::uint64_t kPrime = 0x9e3779b97f4a7c15U;

std::uint64_t mix(std::uint64_t h) {
  h ^= h >> 32U;
  h *= 0xd6e8feb86659fd93U;
  h ^= h >> 32U;
  return h;
}

int compare_text(std::string_view a, std::string_view b) {
  const int order = a.compare(b);
  return order < 0 ? -1 : (order > 0 ? 1 : 0);
}

template <typename T>
int compare_size(T a, T b) {
  return a < b ? -1 : (a > b ? 1 : 0);
}

int compare_items(std::span<const Value> a, std::span<const Value> b) {
  const std::size_t common = std::min(a.size(), b.size());
  for (std::size_t i = 0; i < common; ++i)
    if (const int order = a[i].compare(b[i]); order != 0) return order;
  return compare_size(a.size(), b.size());
}

int compare_entries(std::span<const Entry> a, std::span<const Entry> b) {
  const std::size_t common = std::min(a.size(), b.size());
  for (std::size_t i = 0; i < common; ++i) {
    if (const int order = a[i].key.compare(b[i].key); order != 0) return order;
    if (const int order = a[i].value.compare(b[i].value); order != 0) return order;
  }
  return compare_size(a.size(), b.size());
}

}  // namespace

namespace detail {

std::uint64_t hash_bytes(std::string_view text) {
  std::uint64_t h = kPrime ^ text.size();
  const char* p = text.data();
  std::size_t left = text.size();
  while (left >= 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, p, 8);
    h = (std::rotl(h, 5) ^ word) * kPrime;
    p += 8;
    left -= 8;
  }
  std::uint64_t tail = 0;
  if (left > 0) std::memcpy(&tail, p, left);
  h = mix((std::rotl(h, 5) ^ tail) * kPrime);
  return h == 0 ? 1 : h;
}

}  // namespace detail

std::uint64_t Value::hash() const {
  switch (tag_) {
    case Tag::kUndefined:
    case Tag::kOpaque:
    case Tag::kNull:
      return mix(kPrime + static_cast<std::uint64_t>(tag_));
    case Tag::kBoolean:
      return mix(kPrime * static_cast<std::uint64_t>(bits_.integer + 3));
    case Tag::kInt:
      return mix(std::bit_cast<std::uint64_t>(static_cast<double>(bits_.integer)) * kPrime);
    case Tag::kBigNumber: {
      const double d = big_number()->approximate;
      return mix(std::bit_cast<std::uint64_t>(d == 0 ? 0.0 : d) * kPrime);
    }
    case Tag::kString: {
      const auto* rep = string_rep();
      if (rep->hash == 0) rep->hash = detail::hash_bytes(rep->view());
      return rep->hash;
    }
    case Tag::kArray:
    case Tag::kSet: {
      const auto* rep = composite();
      if (rep->hash != 0) return rep->hash;
      std::uint64_t h = kPrime * static_cast<std::uint64_t>(tag_);
      for (const Value& item : items()) h = mix(std::rotl(h, 7) ^ item.hash());
      return rep->hash = (h == 0 ? 1 : h);
    }
    case Tag::kObject: {
      const auto* rep = composite();
      if (rep->hash != 0) return rep->hash;
      std::uint64_t h = kPrime * static_cast<std::uint64_t>(tag_);
      for (const Entry& entry : entries()) {
        h = mix(std::rotl(h, 7) ^ entry.key.hash());
        h = mix(std::rotl(h, 7) ^ entry.value.hash());
      }
      return rep->hash = (h == 0 ? 1 : h);
    }
  }
  return 0;
}

bool Value::equal_slow(const Value& other) const {
  if (tag_ != other.tag_) {
    if (is_number() && other.is_number()) return compare_numbers(*this, other) == 0;
    return false;
  }
  switch (tag_) {
    case Tag::kUndefined:
    case Tag::kNull:
      return true;
    case Tag::kOpaque:
      return false;
    case Tag::kBoolean:
    case Tag::kInt:
      return bits_.integer == other.bits_.integer;
    case Tag::kBigNumber:
      return compare_numbers(*this, other) == 0;
    case Tag::kString: {
      const auto* a = string_rep();
      const auto* b = other.string_rep();
      if (a->size != b->size) return false;
      if (a->hash != 0 && b->hash != 0 && a->hash != b->hash) return false;
      return std::memcmp(a->data(), b->data(), a->size) == 0;
    }
    default:
      break;
  }
  const auto* a = composite();
  const auto* b = other.composite();
  if (a->size != b->size || a->depth != b->depth) return false;
  if (a->hash != 0 && b->hash != 0 && a->hash != b->hash) return false;
  if (tag_ == Tag::kObject) {
    for (std::uint32_t i = 0; i < a->size; ++i) {
      if (!(a->entries()[i].key == b->entries()[i].key)) return false;
      if (!(a->entries()[i].value == b->entries()[i].value)) return false;
    }
    return true;
  }
  for (std::uint32_t i = 0; i < a->size; ++i)
    if (!(a->items()[i] == b->items()[i])) return false;
  return true;
}

int Value::compare(const Value& other) const {
  if (same(other)) return 0;
  const Type a = type();
  const Type b = other.type();
  if (a != b) return a < b ? -1 : 1;
  switch (a) {
    case Type::kUndefined:
    case Type::kNull:
      return 0;
    case Type::kBoolean:
      return compare_size(bits_.integer, other.bits_.integer);
    case Type::kNumber:
      return compare_numbers(*this, other);
    case Type::kString:
      return compare_text(string_rep()->view(), other.string_rep()->view());
    case Type::kArray:
    case Type::kSet:
      return compare_items(items(), other.items());
    case Type::kObject:
      return compare_entries(entries(), other.entries());
  }
  return 0;
}

}  // namespace coffer::policy
