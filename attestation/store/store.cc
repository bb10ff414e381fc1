#include "attestation/store/store.h"

#include <fmt/format.h>
#include <openssl/rand.h>

#include <algorithm>
#include <chrono>
#include <cstring>

namespace coffer::store {
namespace {

constexpr std::size_t kMaxSpace = 64;

bool is_space(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; }

bool is_key(char c) {
  return is_space(c) || (c >= 'A' && c <= 'Z') || c == '-' || c == '.' || c == '/' || c == ':' ||
         c == '%';
}

Status check_space(std::string_view space) {
  if (!space.empty() && space.size() <= kMaxSpace && std::ranges::all_of(space, is_space)) {
    return {};
  }
  return fail(Code::kInvalidArgument, fmt::format("use namespace '{}': want [a-z0-9_]", space));
}

Write make_write(std::string_view space, std::string_view key) {
  return {.space = std::string(space), .key = std::string(key)};
}

}  // namespace

UnixTime system_clock() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

Status check_name(std::string_view space, std::string_view key) {
  COFFER_TRY_VOID(check_space(space));
  if (key.empty() || key.size() > kMaxKey) {
    return fail(Code::kInvalidArgument,
                fmt::format("use key: want 1 to {} characters, got {}", kMaxKey, key.size()));
  }
  const auto bad = std::ranges::find_if_not(key, is_key);
  if (bad == key.end()) return {};
  return fail(Code::kInvalidArgument,
              fmt::format("use key: want [A-Za-z0-9-_./:%], got byte {:#04x} at {}",
                          static_cast<unsigned char>(*bad), bad - key.begin()));
}

Status check_writes(std::span<const Write> writes) {
  if (writes.size() > kMaxBatch) {
    return fail(Code::kResourceExhausted,
                fmt::format("write {} keys: at most {} at once", writes.size(), kMaxBatch));
  }
  for (const Write& write : writes) {
    COFFER_TRY_VOID(check_name(write.space, write.key));
    if (!write.value && write.condition == Write::If::kAbsent) {
      return fail(Code::kInvalidArgument,
                  fmt::format("remove '{}': cannot be on condition that it is absent", write.key));
    }
    if (write.value && write.value->size() > kMaxValue) {
      return fail(Code::kResourceExhausted,
                  fmt::format("write '{}': {} bytes, at most {} are allowed", write.key,
                              write.value->size(), kMaxValue));
    }
  }
  return {};
}

Version new_version() {
  std::uint64_t bits = 0;
  unsigned char random[sizeof bits];
  check(RAND_bytes(random, sizeof random) == 1, "RAND_bytes failed");
  std::memcpy(&bits, random, sizeof bits);
  return static_cast<Version>((bits >> 1U) | 1U);
}

// Keys are ASCII below 0x7f.
std::string end_of_prefix(std::string_view prefix) { return std::string(prefix) + '\x7f'; }

Status Store::put(std::string_view space, std::string_view key, BytesView value) {
  Write write = make_write(space, key);
  write.value.emplace(value.begin(), value.end());
  COFFER_TRY(const bool done, commit({&write, 1}, Durable::kYes));
  check(done, "a write without a condition was refused");
  return {};
}

Result<bool> Store::insert(std::string_view space, std::string_view key, BytesView value,
                           std::optional<UnixTime> expires, Durable durable) {
  Write write = make_write(space, key);
  write.value.emplace(value.begin(), value.end());
  write.condition = Write::If::kAbsent;
  write.expires = expires;
  return commit({&write, 1}, durable);
}

Result<bool> Store::remove(std::string_view space, std::string_view key) {
  COFFER_TRY(const auto entry, get(space, key));
  if (!entry) return false;
  Write write = make_write(space, key);
  write.condition = Write::If::kVersion;
  write.version = entry->version;
  return commit({&write, 1}, Durable::kYes);
}

}  // namespace coffer::store
