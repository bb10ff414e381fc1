#include "tee/tdx/collateral.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/json.h"
#include "tee/tdx/signed_json.h"

namespace coffer::tdx {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMaxDocument = std::size_t{1} << 20U;
constexpr JsonLimits kLimits{.max_bytes = kMaxDocument, .max_depth = 16};
constexpr std::size_t kMaxLevels = 1024;
constexpr std::size_t kMaxAdvisories = 1024;

constexpr std::array<std::pair<TcbStatus, std::string_view>, 9> kStatusNames = {{
    {TcbStatus::kUpToDate, "UpToDate"},
    {TcbStatus::kSwHardeningNeeded, "SWHardeningNeeded"},
    {TcbStatus::kConfigurationNeeded, "ConfigurationNeeded"},
    {TcbStatus::kConfigurationAndSwHardeningNeeded, "ConfigurationAndSWHardeningNeeded"},
    {TcbStatus::kOutOfDate, "OutOfDate"},
    {TcbStatus::kOutOfDateConfigurationNeeded, "OutOfDateConfigurationNeeded"},
    {TcbStatus::kTdRelaunchAdvised, "TDRelaunchAdvised"},
    {TcbStatus::kTdRelaunchAdvisedConfigurationNeeded, "TDRelaunchAdvisedConfigurationNeeded"},
    {TcbStatus::kRevoked, "Revoked"},
}};

std::unexpected<Error> bad(std::string_view key, std::string_view why) {
  return fail(Code::kInvalidArgument, fmt::format("member '{}': {}", key, why));
}

// Of the right kind, or an error: a missing member is not a default.
Result<std::reference_wrapper<const Json>> member(const Json& object, const char* key) {
  if (!object.is_object()) return bad(key, "its parent is no object");
  const auto it = object.find(key);
  if (it == object.end()) return bad(key, "missing");
  return std::cref(*it);
}

Status read(const Json& object, const char* key, std::string& out) {
  COFFER_TRY(const Json& value, member(object, key));
  if (!value.is_string()) return bad(key, "want a string");
  out = value.get_ref<const std::string&>();
  return {};
}

template <std::unsigned_integral T>
Status read(const Json& object, const char* key, T& out) {
  COFFER_TRY(const Json& value, member(object, key));
  if (!value.is_number_unsigned()) return bad(key, "want a whole number of 0 or more");
  const auto number = value.get<std::uint64_t>();
  if (!std::in_range<T>(number)) {
    return bad(key, fmt::format("got {}, want at most {}", number, std::numeric_limits<T>::max()));
  }
  out = static_cast<T>(number);
  return {};
}

// Hex of exactly N bytes, either case.
template <std::size_t N>
Status read_hex(std::string_view text, const char* key, std::array<std::uint8_t, N>& out) {
  auto bytes = from_hex(text);
  if (!bytes || bytes->size() != N) return bad(key, fmt::format("want {} hex digits", 2 * N));
  std::ranges::copy(*bytes, out.begin());
  return {};
}

template <std::size_t N>
Status read(const Json& object, const char* key, std::array<std::uint8_t, N>& out) {
  std::string text;
  COFFER_TRY_VOID(read(object, key, text));
  return read_hex(text, key, out);
}

Status read_time(const Json& object, const char* key, tee::UnixTime& out) {
  std::string text;
  COFFER_TRY_VOID(read(object, key, text));
  auto time = tee::parse_rfc3339(text);
  if (!time) return bad(key, time.error().to_string());
  out = *time;
  return {};
}

Result<std::reference_wrapper<const Json>> array(const Json& object, const char* key,
                                                 std::size_t max) {
  COFFER_TRY(const Json& value, member(object, key));
  if (!value.is_array()) return bad(key, "want an array");
  if (value.size() > max)
    return bad(key, fmt::format("got {} items, want <= {}", value.size(), max));
  return std::cref(value);
}

Status read_components(const Json& tcb, const char* key, std::array<std::uint8_t, 16>& out) {
  COFFER_TRY(const Json& list, array(tcb, key, kMaxLevels));
  if (list.size() != out.size()) {
    return bad(key, fmt::format("got {} components, want {}", list.size(), out.size()));
  }
  for (std::size_t i = 0; i < out.size(); ++i) COFFER_TRY_VOID(read(list[i], "svn", out[i]));
  return {};
}

Result<LevelInfo> read_level_info(const Json& level) {
  LevelInfo info;
  std::string status;
  COFFER_TRY_VOID(read(level, "tcbStatus", status));
  COFFER_TRY(info.status, parse_tcb_status(status));
  COFFER_TRY_VOID(read_time(level, "tcbDate", info.tcb_date));
  if (!level.contains("advisoryIDs")) return info;
  COFFER_TRY(const Json& ids, array(level, "advisoryIDs", kMaxAdvisories));
  for (const Json& id : ids) {
    if (!id.is_string()) return bad("advisoryIDs", "want strings");
    info.advisory_ids.push_back(id.get<std::string>());
  }
  return info;
}

Result<std::vector<IsvLevel>> read_isv_levels(const Json& object) {
  COFFER_TRY(const Json& list, array(object, "tcbLevels", kMaxLevels));
  if (list.empty()) return bad("tcbLevels", "empty");
  std::vector<IsvLevel> levels;
  for (const Json& item : list) {
    IsvLevel& level = levels.emplace_back();
    COFFER_TRY(const Json& tcb, member(item, "tcb"));
    COFFER_TRY_VOID(read(tcb, "isvsvn", level.isv_svn));
    COFFER_TRY(level.info, read_level_info(item));
  }
  std::ranges::stable_sort(levels, std::ranges::greater{}, &IsvLevel::isv_svn);
  return levels;
}

Result<std::vector<TcbLevel>> read_tcb_levels(const Json& object) {
  COFFER_TRY(const Json& list, array(object, "tcbLevels", kMaxLevels));
  if (list.empty()) return bad("tcbLevels", "empty");
  std::vector<TcbLevel> levels;
  for (const Json& item : list) {
    TcbLevel& level = levels.emplace_back();
    COFFER_TRY(const Json& tcb, member(item, "tcb"));
    COFFER_TRY_VOID(read_components(tcb, "sgxtcbcomponents", level.sgx_components));
    COFFER_TRY_VOID(read(tcb, "pcesvn", level.pce_svn));
    COFFER_TRY_VOID(read_components(tcb, "tdxtcbcomponents", level.tdx_components));
    COFFER_TRY(level.info, read_level_info(item));
  }
  std::ranges::stable_sort(levels, std::ranges::greater{}, [](const TcbLevel& level) {
    return std::tie(level.sgx_components, level.pce_svn, level.tdx_components);
  });
  return levels;
}

Status read_module_base(const Json& object, TdxModule& module) {
  COFFER_TRY_VOID(read(object, "mrsigner", module.mr_signer));
  COFFER_TRY_VOID(read(object, "attributes", module.attributes));
  return read(object, "attributesMask", module.attributes_mask);
}

// Absent in documents of early platforms, which know only tdxModule.
Result<std::vector<TdxModule>> read_identities(const Json& root) {
  std::vector<TdxModule> identities;
  if (!root.contains("tdxModuleIdentities")) return identities;
  COFFER_TRY(const Json& list, array(root, "tdxModuleIdentities", kMaxLevels));
  for (const Json& item : list) {
    TdxModule& module = identities.emplace_back();
    COFFER_TRY_VOID(read(item, "id", module.id));
    COFFER_TRY_VOID(read_module_base(item, module));
    COFFER_TRY(module.levels, read_isv_levels(item));
  }
  return identities;
}

// What both documents begin with.
template <typename T>
Status read_head(const Json& root, T& value) {
  COFFER_TRY_VOID(read(root, "id", value.id));
  COFFER_TRY_VOID(read(root, "version", value.version));
  COFFER_TRY_VOID(read_time(root, "issueDate", value.issue_date));
  COFFER_TRY_VOID(read_time(root, "nextUpdate", value.next_update));
  return read(root, "tcbEvaluationDataNumber", value.evaluation_number);
}

Status read_value(const Json& root, TcbInfo& info) {
  COFFER_TRY_VOID(read_head(root, info));
  COFFER_TRY_VOID(read(root, "fmspc", info.fmspc));
  COFFER_TRY_VOID(read(root, "pceId", info.pce_id));
  COFFER_TRY_VOID(read(root, "tcbType", info.tcb_type));
  // An SGX document has neither module nor TDX components: say so before the member is missed.
  if (info.id != "TDX") return bad("id", fmt::format("got '{}', want 'TDX'", info.id));
  COFFER_TRY(const Json& module, member(root, "tdxModule"));
  COFFER_TRY_VOID(read_module_base(module, info.module));
  COFFER_TRY(info.identities, read_identities(root));
  COFFER_TRY(info.levels, read_tcb_levels(root));
  return {};
}

Status read_value(const Json& root, QeIdentity& qe) {
  COFFER_TRY_VOID(read_head(root, qe));
  COFFER_TRY_VOID(read(root, "miscselect", qe.misc_select));
  COFFER_TRY_VOID(read(root, "miscselectMask", qe.misc_select_mask));
  COFFER_TRY_VOID(read(root, "attributes", qe.attributes));
  COFFER_TRY_VOID(read(root, "attributesMask", qe.attributes_mask));
  COFFER_TRY_VOID(read(root, "mrsigner", qe.mr_signer));
  COFFER_TRY_VOID(read(root, "isvprodid", qe.isv_prod_id));
  COFFER_TRY(qe.levels, read_isv_levels(root));
  return {};
}

template <typename T>
Result<Signed<T>> parse_signed(std::string_view text, std::string_view name) {
  // The whole first (is it JSON, does any key stand twice?), then only the signed bytes: what is
  // used is what is signed.
  COFFER_TRY_VOID(parse_json(text, name, kLimits));
  COFFER_TRY(const SignedMember found, find_signed_member(text, name));
  COFFER_TRY(const Json root, parse_json(found.value, name, kLimits));
  Signed<T> document;
  document.signed_text = found.value;
  COFFER_TRY_VOID(read_hex(found.signature, "signature", document.signature));
  COFFER_TRY_VOID(read_value(root, document.value));
  return document;
}

template <typename T>
Result<Signed<T>> parse_document(std::string_view text, std::string_view name) {
  auto document = parse_signed<T>(text, name);
  if (!document) document.error().add_context(fmt::format("parse {}", name));
  return document;
}

}  // namespace

std::string_view tcb_status_name(TcbStatus status) {
  return std::ranges::find(kStatusNames, status, &std::pair<TcbStatus, std::string_view>::first)
      ->second;
}

Result<TcbStatus> parse_tcb_status(std::string_view name) {
  for (const auto& [status, text] : kStatusNames) {
    if (text == name) return status;
  }
  return fail(Code::kInvalidArgument, fmt::format("TCB status '{}': unknown", name));
}

Result<Signed<TcbInfo>> parse_tcb_info(std::string_view text) {
  return parse_document<TcbInfo>(text, "tcbInfo");
}

Result<Signed<QeIdentity>> parse_qe_identity(std::string_view text) {
  return parse_document<QeIdentity>(text, "enclaveIdentity");
}

}  // namespace coffer::tdx
