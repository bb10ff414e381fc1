#include "tee/emulator/tdx_guest.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <optional>

#include "tee/digest.h"
#include "tee/emulator/launch_json.h"

namespace coffer::emulator {
namespace {

constexpr std::size_t kRegisters = 4;
// RTMR0 and RTMR1 are the firmware's.
constexpr std::size_t kFirstWritable = 2;

std::string register_file(std::size_t index) { return fmt::format("rtmr{}:sha384", index); }

std::optional<std::size_t> register_of(std::string_view name) {
  for (std::size_t i = 0; i < kRegisters; ++i) {
    if (name == register_file(i)) return i;
  }
  return std::nullopt;
}

Bytes octets(const tdx::Digest48& digest) { return {digest.begin(), digest.end()}; }

}  // namespace

OrErrno<TsmAnswer> TdxGuest::report(BytesView inblob, unsigned /*privilege_level*/) {
  QuoteSpec spec = launch_;
  if (inblob.size() != spec.td.report_data.size()) return std::unexpected(EINVAL);
  std::ranges::copy(inblob, spec.td.report_data.begin());
  auto quote = intel_.quote(spec);
  if (!quote) return std::unexpected(EIO);
  return TsmAnswer{.outblob = *std::move(quote), .auxblob = {}};
}

std::vector<MeasurementFile> TdxGuest::measurements() const {
  std::vector<MeasurementFile> out;
  for (const auto* name : {"mrtd:sha384", "mrconfigid", "mrowner", "mrownerconfig"}) {
    out.push_back({.name = name});
  }
  for (std::size_t i = 0; i < kRegisters; ++i) {
    out.push_back({.name = register_file(i), .extendable = i >= kFirstWritable});
  }
  return out;
}

OrErrno<Bytes> TdxGuest::measurement(std::string_view name) const {
  const tdx::TdBody& td = launch_.td;
  if (name == "mrtd:sha384") return octets(td.mr_td);
  if (name == "mrconfigid") return octets(td.mr_config_id);
  if (name == "mrowner") return octets(td.mr_owner);
  if (name == "mrownerconfig") return octets(td.mr_owner_config);
  if (const auto index = register_of(name)) return octets(td.rtmr.at(*index));
  return std::unexpected(ENOENT);
}

OrErrno<void> TdxGuest::extend(std::string_view name, BytesView digest) {
  const auto index = register_of(name);
  if (!index || *index < kFirstWritable) return std::unexpected(EACCES);
  auto& value = launch_.td.rtmr.at(*index);
  if (digest.size() != value.size()) return std::unexpected(EINVAL);
  Bytes both = octets(value);
  both.insert(both.end(), digest.begin(), digest.end());
  value = tee::sha384(both);
  return {};
}

Result<QuoteSpec> tdx_launch_of(const FakeIntel& intel, const nlohmann::json& object) {
  LaunchReader reader(object);
  QuoteSpec out = intel.quote_spec();
  COFFER_TRY_VOID(reader.octets("mr_td", out.td.mr_td));
  COFFER_TRY_VOID(reader.octets("mr_config_id", out.td.mr_config_id));
  COFFER_TRY_VOID(reader.octets("mr_owner", out.td.mr_owner));
  COFFER_TRY_VOID(reader.octets("mr_owner_config", out.td.mr_owner_config));
  for (std::size_t i = 0; i < kRegisters; ++i) {
    COFFER_TRY_VOID(reader.octets(fmt::format("rtmr_{}", i), out.td.rtmr.at(i)));
  }
  COFFER_TRY_VOID(reader.octets("td_attributes", out.td.td_attributes));
  COFFER_TRY_VOID(reader.octets("xfam", out.td.xfam));
  COFFER_TRY_VOID(reader.expect_all_read());
  return out;
}

}  // namespace coffer::emulator
