// SHA-256, SHA-384 and SHA-512 over OpenSSL, with the algorithm looked up once per object: a launch
// digest is thousands of short hashes.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "base/bytes.h"

namespace coffer::tee {

using Digest256 = std::array<std::uint8_t, 32>;
using Digest384 = std::array<std::uint8_t, 48>;
using Digest512 = std::array<std::uint8_t, 64>;

enum class HashAlgorithm : std::uint8_t { kSha1, kSha256, kSha384, kSha512 };
// In bytes.
[[nodiscard]] std::size_t digest_size(HashAlgorithm algorithm);

// A running hash; reusable: finish() starts the next message.
class Hasher {
 public:
  explicit Hasher(HashAlgorithm algorithm);
  Hasher(Hasher&&) noexcept;
  Hasher& operator=(Hasher&&) noexcept;
  ~Hasher();

  Hasher& update(BytesView bytes);
  // Writes digest_size() bytes to the front of `out`, which must hold as many.
  void finish(std::span<std::uint8_t> out);
  [[nodiscard]] Bytes finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

[[nodiscard]] Digest256 sha256(BytesView bytes);
[[nodiscard]] Digest384 sha384(BytesView bytes);
[[nodiscard]] Digest512 sha512(BytesView bytes);
[[nodiscard]] Bytes hash(HashAlgorithm algorithm, BytesView bytes);

}  // namespace coffer::tee
