#include <fmt/format.h>

#include <charconv>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "tee/tpm/verify.h"

namespace coffer::tpm {
namespace {

using Json = nlohmann::json;
using eventlog::Alg;

constexpr std::size_t kReportData = 64;

std::unexpected<Error> bad(std::string_view what, std::string_view why) {
  return fail(Code::kInvalidArgument, fmt::format("{}: {}", what, why));
}

Result<unsigned> parse_pcr(std::string_view text) {
  unsigned pcr = 0;
  const char* end = text.data() + text.size();
  if (text.empty() || std::from_chars(text.data(), end, pcr).ptr != end || pcr >= kPcrCount) {
    return bad(fmt::format("PCR '{}'", text), "want 0 to 23");
  }
  return pcr;
}

Result<Bytes> parse_value(const Json& value, Alg bank) {
  const auto bytes = value.is_string() ? from_hex(value.get_ref<const std::string&>())
                                       : Result<Bytes>(bad("PCR value", "want hex"));
  if (!bytes || bytes->size() != eventlog::alg_size(bank)) {
    return bad("PCR value", fmt::format("want hex of a {} digest", eventlog::alg_name(bank)));
  }
  return *bytes;
}

Result<Alg> parse_bank(const Json& name) {
  const auto alg =
      name.is_string() ? eventlog::alg_from_name(name.get_ref<const std::string&>()) : std::nullopt;
  if (!alg) return bad("bank", "want sha1, sha256, sha384 or sha512");
  return *alg;
}

Result<PcrValues> parse_object(const Json& object, Alg bank) {
  if (!object.is_object()) return bad("PCRs", "want an object of number to hex");
  PcrValues out;
  for (const auto& [key, value] : object.items()) {
    COFFER_TRY(const unsigned pcr, parse_pcr(key));
    COFFER_TRY(out[pcr], parse_value(value, bank));
  }
  return out;
}

Result<PcrValues> parse_array(const Json& array, Alg bank) {
  if (array.size() > kPcrCount) return bad("PCRs", "more than 24");
  PcrValues out;
  for (std::size_t i = 0; i < array.size(); ++i) {
    COFFER_TRY(out[static_cast<unsigned>(i)], parse_value(array[i], bank));
  }
  return out;
}

Status apply(const std::string& key, const Json& value, const Json& policy, Expectations& want) {
  if (key == "bank") {
    COFFER_TRY(want.bank, parse_bank(value));
    return {};
  }
  if (key == "hardware_report_data") {
    auto bytes = value.is_string() ? from_hex(value.get_ref<const std::string&>())
                                   : Result<Bytes>(bad(key, "want hex"));
    if (!bytes || bytes->size() != kReportData) return bad(key, "want 128 hex digits");
    want.hardware_report_data = *std::move(bytes);
    return {};
  }
  if (key == "expect_nonce") {
    if (!value.is_string()) return bad(key, "want hex");
    COFFER_TRY(want.nonce, from_hex(value.get_ref<const std::string&>()));
    return {};
  }
  if (key == "required_pcrs") {
    if (!value.is_array()) return bad(key, "want a list of numbers");
    for (const Json& item : value) {
      if (!item.is_number_unsigned() || item.get<std::uint64_t>() >= kPcrCount) {
        return bad(key, "want numbers from 0 to 23");
      }
      want.required_pcrs.insert(item.get<unsigned>());
    }
    return {};
  }
  if (key == "expect_pcrs") {
    // The bank may stand behind this key in the file.
    Alg bank = want.bank;
    if (policy.contains("bank")) {
      COFFER_TRY(bank, parse_bank(policy["bank"]));
    }
    COFFER_TRY(want.values, parse_object(value, bank));
    return {};
  }
  return bad(fmt::format("key '{}'", key), "unknown");
}

}  // namespace

Result<PcrBanks> parse_pcrs(std::string_view text) {
  COFFER_TRY(const Json json, parse_json(text, "PCR values", {.max_bytes = 1U << 20U}));
  if (!json.is_object()) return bad("parse PCR values", "want an object");
  PcrBanks banks;
  if (json.contains("bank") && json.contains("pcrs")) {
    COFFER_TRY(const Alg bank, parse_bank(json["bank"]));
    COFFER_TRY(banks[bank], json["pcrs"].is_array() ? parse_array(json["pcrs"], bank)
                                                    : parse_object(json["pcrs"], bank));
    return banks;
  }
  for (const auto& [name, values] : json.items()) {
    COFFER_TRY(const Alg bank, parse_bank(Json(name)));
    COFFER_TRY(banks[bank],
               values.is_array() ? parse_array(values, bank) : parse_object(values, bank));
  }
  return banks;
}

Status apply_policy(std::string_view text, Expectations& expectations) {
  COFFER_TRY(const Json policy, parse_json(text, "TPM policy", {.max_bytes = 1U << 20U}));
  if (!policy.is_object()) return bad("parse TPM policy", "want an object");
  for (const auto& [key, value] : policy.items()) {
    if (auto status = apply(key, value, policy, expectations); !status) {
      status.error().add_context("parse TPM policy");
      return status;
    }
  }
  return {};
}

}  // namespace coffer::tpm
