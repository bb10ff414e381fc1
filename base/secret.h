// Secret bytes: moved, never copied, never printed, wiped when they go.
#pragma once

#include <string>
#include <utility>

#include "base/bytes.h"

namespace coffer {

class SecretBytes {
 public:
  SecretBytes() = default;
  // Takes over the buffer; the caller's vector is left empty.
  explicit SecretBytes(Bytes&& bytes) : bytes_(std::move(bytes)) {}
  SecretBytes(SecretBytes&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
  SecretBytes& operator=(SecretBytes&& other) noexcept {
    if (this != &other) {
      wipe();
      bytes_ = std::exchange(other.bytes_, {});
    }
    return *this;
  }
  SecretBytes(const SecretBytes&) = delete;
  SecretBytes& operator=(const SecretBytes&) = delete;
  ~SecretBytes() { wipe(); }

  [[nodiscard]] BytesView view() const { return bytes_; }
  [[nodiscard]] std::size_t size() const { return bytes_.size(); }
  [[nodiscard]] bool empty() const { return bytes_.empty(); }
  void wipe();

 private:
  Bytes bytes_;
};

// For text that a library hands us. Leaves it empty.
void wipe(std::string& text);

}  // namespace coffer
