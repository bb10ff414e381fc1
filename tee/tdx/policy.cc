#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/json.h"
#include "tee/tdx/expectations.h"

namespace coffer::tdx {
namespace {

using Json = nlohmann::json;
using Setter = std::function<Status(const Json&, Expectations&)>;

std::unexpected<Error> bad(std::string_view why) {
  return fail(Code::kInvalidArgument, std::string(why));
}

Status read(const Json& value, bool& out) {
  if (!value.is_boolean()) return bad("want true or false");
  out = value.get<bool>();
  return {};
}

Status read(const Json& value, std::uint32_t& out) {
  if (!value.is_number_unsigned() || !std::in_range<std::uint32_t>(value.get<std::uint64_t>())) {
    return bad("want a whole number of 0 or more");
  }
  out = value.get<std::uint32_t>();
  return {};
}

template <std::size_t N>
Status read(const Json& value, std::array<std::uint8_t, N>& out) {
  if (!value.is_string()) return bad(fmt::format("want {} hex digits", 2 * N));
  const auto bytes = from_hex(value.get_ref<const std::string&>());
  if (!bytes || bytes->size() != N) return bad(fmt::format("want {} hex digits", 2 * N));
  std::ranges::copy(*bytes, out.begin());
  return {};
}

Status read(const Json& value, std::string& out) {
  if (!value.is_string()) return bad("want a string");
  out = value.get<std::string>();
  return {};
}

template <typename T>
Status read(const Json& value, std::vector<T>& out) {
  if (!value.is_array()) return bad("want a list");
  out.clear();
  for (const Json& item : value) COFFER_TRY_VOID(read(item, out.emplace_back()));
  return {};
}

template <typename T>
Status read(const Json& value, std::optional<T>& out) {
  return read(value, out.emplace());
}

Status read_statuses(const Json& value, Expectations& expectations) {
  std::string list;
  if (value.is_array()) {
    std::vector<std::string> names;
    COFFER_TRY_VOID(read(value, names));
    list = fmt::format("{}", fmt::join(names, ","));
  } else {
    COFFER_TRY_VOID(read(value, list));
  }
  COFFER_TRY(expectations.accepted_statuses, parse_accepted_statuses(list));
  return {};
}

template <typename T>
Setter set(T Expectations::* field) {
  return [field](const Json& value, Expectations& e) { return read(value, e.*field); };
}

Setter set_rtmr(std::size_t index) {
  return [index](const Json& value, Expectations& e) { return read(value, e.rtmr[index]); };
}

const std::map<std::string, Setter, std::less<>>& setters() {
  using E = Expectations;
  static const std::map<std::string, Setter, std::less<>> map = {
      {"accept_tcb_status", read_statuses},
      {"allow_debug", set(&E::allow_debug)},
      {"allow_duplicate_separator", set(&E::allow_duplicate_separator)},
      {"allow_key_locker", set(&E::allow_key_locker)},
      {"allow_migratable", set(&E::allow_migratable)},
      {"allow_perfmon", set(&E::allow_perfmon)},
      {"allow_pks", set(&E::allow_pks)},
      {"allowed_advisory_ids", set(&E::allowed_advisory_ids)},
      {"expect_mrconfigid", set(&E::mr_config_id)},
      {"expect_mrowner", set(&E::mr_owner)},
      {"expect_mrownerconfig", set(&E::mr_owner_config)},
      {"expect_mrseam", set(&E::mr_seam)},
      {"expect_mrservicetd", set(&E::mr_service_td)},
      {"expect_mrtd", set(&E::mr_td)},
      {"expect_report_data", set(&E::report_data)},
      {"expect_rtmr0", set_rtmr(0)},
      {"expect_rtmr1", set_rtmr(1)},
      {"expect_rtmr2", set_rtmr(2)},
      {"expect_rtmr3", set_rtmr(3)},
      {"max_tcb_age_days", set(&E::max_tcb_age_days)},
      {"min_tcb_evaluation_data_number", set(&E::min_tcb_evaluation_data_number)},
      {"require_crl", set(&E::require_crl)},
      {"require_sept_ve_disable", set(&E::require_sept_ve_disable)},
      {"trusted_ppids", set(&E::trusted_ppids)},
  };
  return map;
}

Result<TcbStatus> acceptable_status(std::string_view name) {
  COFFER_TRY(const TcbStatus status, parse_tcb_status(name));
  if (status == TcbStatus::kRevoked) return bad("TCB status 'Revoked': can never be accepted");
  return status;
}

}  // namespace

Result<std::vector<TcbStatus>> parse_accepted_statuses(std::string_view list) {
  std::vector<TcbStatus> statuses;
  if (list == "any") {
    for (auto i = static_cast<std::uint8_t>(TcbStatus::kUpToDate);
         i < static_cast<std::uint8_t>(TcbStatus::kRevoked); ++i) {
      statuses.push_back(TcbStatus{i});
    }
    return statuses;
  }
  while (true) {
    const auto comma = list.find(',');
    COFFER_TRY(statuses.emplace_back(), acceptable_status(list.substr(0, comma)));
    if (comma == std::string_view::npos) return statuses;
    list.remove_prefix(comma + 1);
  }
}

Status apply_policy(std::string_view json, Expectations& expectations) {
  COFFER_TRY(const Json policy, parse_json(json, "TDX policy", {.max_bytes = 1U << 20U}));
  if (!policy.is_object()) return bad("parse TDX policy: want an object");
  for (const auto& [key, value] : policy.items()) {
    const auto setter = setters().find(key);
    if (setter == setters().end()) {
      return bad(fmt::format("parse TDX policy: key '{}': unknown", key));
    }
    if (auto status = setter->second(value, expectations); !status) {
      status.error().add_context(fmt::format("parse TDX policy: key '{}'", key));
      return status;
    }
  }
  return {};
}

}  // namespace coffer::tdx
