// Reports come from the host's machine. What is read must be written again as it was, and a verdict
// must come of any bytes.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>

#include "tee/sev-snp/claims.h"
#include "tee/sev-snp/id_block.h"
#include "tee/sev-snp/verify.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace coffer;
  const BytesView bytes(data, size);
  if (const auto report = snp::parse_report(bytes)) {
    check(std::ranges::equal(snp::encode_report(*report), bytes), "report written as read");
  }
  const auto verdict = snp::verify_endorsed(bytes, snp::no_endorsement(), {}, 0);
  check(!verdict.verified(), "evidence without a leaf is not verified");
  static_cast<void>(verdict.to_json());
  if (size >= snp::kIdBlockSize) {
    static_cast<void>(
        snp::check_id_block(bytes.first(snp::kIdBlockSize), bytes.subspan(snp::kIdBlockSize)));
  }
  return 0;
}
