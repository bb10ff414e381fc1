// The PCK chains that quotes carry, read once: every quote of a platform has the same one. Nothing
// but the reading is kept: signatures, names, validity and revocation are asked anew each time, of
// bytes that are equal to those that were read.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "tee/tdx/chain.h"
#include "tee/tdx/pck_extension.h"
#include "tee/x509.h"

namespace coffer::tdx {

struct PckChain {
  std::vector<tee::Certificate> certificates;
  Result<PckExtension> pck;  // of the first certificate
};

// Exactly PEM with nothing but white space between the blocks, one to four certificates.
// `known`: certificates that were parsed before, and usually stand in the chain.
[[nodiscard]] Result<PckChain> parse_pck_chain(BytesView pem, Chain known);

// Keeps the last few chains that could be read. Thread-safe.
class PckChains {
 public:
  static constexpr std::size_t kMaxChains = 16;
  static constexpr std::size_t kMaxSize = std::size_t{16} << 10U;  // larger ones are not kept

  // As parse_pck_chain(). Shared: a chain may be replaced while a verification reads it.
  [[nodiscard]] Result<std::shared_ptr<const PckChain>> read(BytesView pem, Chain known);

 private:
  struct Entry {
    Bytes pem;
    std::shared_ptr<const PckChain> chain;
  };
  [[nodiscard]] std::shared_ptr<const PckChain> find(BytesView pem);

  std::mutex mutex_;
  std::array<Entry, kMaxChains> entries_;
  std::size_t next_ = 0;  // the oldest
};

}  // namespace coffer::tdx
