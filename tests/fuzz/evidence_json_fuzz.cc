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

template <typename Parse>
void check_same(Parse parse, const nlohmann::json& lists, const nlohmann::json& bytes) {
  const auto one = parse(lists);
  const auto other = parse(bytes);
  check(one.has_value() == other.has_value(), "evidence is read from lists as from bytes");
  if (!one)
    check(one.error().message() == other.error().message(), "and refused in the same words");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text = as_text(BytesView(data + 1, size - 1));
  const auto value = parse_json(text, "input");
  if (!value) return 0;
  // As the broker reads it.
  const auto bytes = parse_json(text, "input", {.lists_as_bytes = true});
  check(bytes.has_value(), "lists of bytes are lists");
  switch (data[0] % 6) {
    case 0:
      check_snp(*value);
      check_same(evidence::parse_snp, *value, *bytes);
      break;
    case 1:
      check_tdx(*value);
      check_same(evidence::parse_tdx, *value, *bytes);
      break;
    case 2:
      check_same(evidence::parse_tpm, *value, *bytes);
      break;
    case 3:
      check_same(evidence::parse_azure_snp, *value, *bytes);
      break;
    case 4:
      check_same(evidence::parse_azure_tdx, *value, *bytes);
      break;
    default:
      check_same(evidence::parse_sample, *value, *bytes);
      break;
  }
  return 0;
}
