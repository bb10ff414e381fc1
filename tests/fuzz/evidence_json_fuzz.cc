// Evidence as a guest sends it. The first byte chooses the TEE.
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>

#include "attestation/evidence/evidence.h"
#include "base/bytes.h"
#include "base/json.h"
#include "tee/sev-snp/cert_table.h"

namespace {

using namespace coffer;

void check_snp(const nlohmann::json& value) {
  const auto read = evidence::parse_snp(value);
  if (!read) return;
  const auto written = evidence::make_snp(*read);
  // A table may be one that its own parser refuses: a kind that stands twice.
  if (!written) return;
  const auto again = evidence::parse_snp(*written);
  check(again && again->report == read->report, "a report is read as it was written");
}

void check_tdx(const nlohmann::json& value) {
  const auto read = evidence::parse_tdx(value);
  if (!read) return;
  const auto written = evidence::make_tdx(*read);
  check(written.has_value(), "evidence that was read can be written");
  const auto again = evidence::parse_tdx(*written);
  check(again && again->report == read->report && again->manifest == read->manifest,
        "evidence is read as it was written");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto value = parse_json(as_text(BytesView(data + 1, size - 1)), "input");
  if (!value) return 0;
  switch (data[0] % 6) {
    case 0:
      check_snp(*value);
      break;
    case 1:
      check_tdx(*value);
      break;
    case 2:
      (void)evidence::parse_tpm(*value);
      break;
    case 3:
      (void)evidence::parse_azure_snp(*value);
      break;
    case 4:
      (void)evidence::parse_azure_tdx(*value);
      break;
    default:
      (void)evidence::parse_sample(*value);
      break;
  }
  return 0;
}
