#include "tee/emulator/guest_file.h"

#include <fmt/format.h>
#include <sys/random.h>

#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/json.h"
#include "tee/emulator/snp_guest.h"
#include "tee/emulator/tdx_guest.h"
#include "tee/emulator/tpm_pki.h"

namespace coffer::emulator {
namespace {

using Json = nlohmann::json;

std::unexpected<Error> bad(std::string_view why) {
  return fail(Code::kInvalidArgument, fmt::format("load emulated guest: {}", why));
}

// The object at `key`; an empty one when it is absent.
Result<Json> object_at(const Json& object, std::string_view key) {
  const auto at = object.find(key);
  if (at == object.end()) return Json::object();
  if (!at->is_object()) return bad(fmt::format("'{}': want an object", key));
  return *at;
}

Result<std::unique_ptr<Guest>> load_snp(const Json& pki, const Json& launch) {
  COFFER_TRY(FakeAmd amd, FakeAmd::load(pki.dump()));
  COFFER_TRY(const snp::Report report, snp_launch_of(amd, launch));
  return std::make_unique<SnpGuest>(std::move(amd), report);
}

Result<std::unique_ptr<Guest>> load_tdx(const Json& pki, const Json& launch) {
  COFFER_TRY(FakeIntel intel, FakeIntel::load(pki.dump()));
  COFFER_TRY(QuoteSpec spec, tdx_launch_of(intel, launch));
  return std::make_unique<TdxGuest>(std::move(intel), std::move(spec));
}

Result<MadeFile> guest_file(std::string_view tee, const std::string& pki, Json launch) {
  COFFER_TRY(Json parsed, parse_json(pki, "PKI"));
  const Json guest{{"tee", tee}, {"pki", std::move(parsed)}, {"launch", std::move(launch)}};
  return MadeFile{.name = "guest.json", .content = to_bytes(guest.dump(1)), .secret = true};
}

// REPORT_ID is drawn at launch.
Result<std::string> fresh_report_id() {
  std::array<std::uint8_t, 32> id{};
  if (getrandom(id.data(), id.size(), 0) != static_cast<ssize_t>(id.size())) {
    return fail_errno(errno, "draw a report id");
  }
  return to_hex(id);
}

Result<std::vector<MadeFile>> make_snp(tee::UnixTime not_before, tee::UnixTime not_after) {
  COFFER_TRY(const FakeAmd amd, FakeAmd::make({.not_before = not_before, .not_after = not_after}));
  COFFER_TRY(const std::string pki, amd.save());
  COFFER_TRY(const std::string id, fresh_report_id());
  COFFER_TRY(MadeFile guest, guest_file("snp", pki, {{"report_id", id}}));
  COFFER_TRY(Bytes crl, amd.crl({.this_update = not_before, .next_update = not_after}));
  std::vector<MadeFile> out;
  out.push_back(std::move(guest));
  out.push_back({.name = "root.pem", .content = to_bytes(amd.root_pem())});
  out.push_back({.name = "crl.der", .content = std::move(crl)});
  return out;
}

Result<std::vector<MadeFile>> make_tdx(tee::UnixTime not_before, tee::UnixTime not_after) {
  COFFER_TRY(const FakeIntel intel,
             FakeIntel::make({.not_before = not_before, .not_after = not_after, .platform = {}}));
  COFFER_TRY(const std::string pki, intel.save());
  COFFER_TRY(MadeFile guest, guest_file("tdx", pki, Json::object()));
  COFFER_TRY(tdx::CollateralInput input, intel.collateral());
  std::vector<MadeFile> out;
  out.push_back(std::move(guest));
  out.push_back({.name = "root.pem", .content = to_bytes(intel.root_pem())});
  out.push_back({.name = "collateral/tcb_info.json", .content = to_bytes(input.tcb_info)});
  out.push_back({.name = "collateral/qe_identity.json", .content = to_bytes(input.qe_identity)});
  out.push_back(
      {.name = "collateral/tcb_signing_chain.pem", .content = std::move(input.tcb_signing_chain)});
  out.push_back({.name = "collateral/root_ca_crl.der", .content = std::move(input.root_ca_crl)});
  out.push_back({.name = "collateral/pck_crl.der", .content = std::move(input.pck_crl)});
  out.push_back({.name = "collateral/pck_crl_issuer_chain.pem",
                 .content = std::move(input.pck_crl_issuer_chain)});
  return out;
}

// The TPM itself is a software TPM of the host, not one that the emulator plays.
Result<std::vector<MadeFile>> make_tpm(tee::UnixTime not_before, tee::UnixTime not_after) {
  COFFER_TRY(const FakeTpmMaker maker, FakeTpmMaker::make(not_before, not_after));
  COFFER_TRY(const std::string pki, maker.save());
  COFFER_TRY(MadeFile guest, guest_file("tpm", pki, Json::object()));
  std::vector<MadeFile> out;
  out.push_back(std::move(guest));
  out.push_back({.name = "root.pem", .content = to_bytes(maker.root_pem())});
  return out;
}

}  // namespace

Result<std::unique_ptr<Guest>> load_guest(std::string_view json) {
  COFFER_TRY(const Json object, parse_json(json, "emulated guest"));
  if (!object.is_object()) return bad("want an object");
  for (const auto& [key, value] : object.items()) {
    if (key != "tee" && key != "pki" && key != "launch")
      return bad(fmt::format("'{}': unknown", key));
  }
  COFFER_TRY(const Json pki, object_at(object, "pki"));
  COFFER_TRY(const Json launch, object_at(object, "launch"));
  const auto tee = object.find("tee");
  if (tee != object.end() && *tee == "snp") return load_snp(pki, launch);
  if (tee != object.end() && *tee == "tdx") return load_tdx(pki, launch);
  return bad("'tee': want \"snp\" or \"tdx\"");
}

Result<std::vector<MadeFile>> make_guest(std::string_view tee, tee::UnixTime not_before,
                                         tee::UnixTime not_after) {
  if (tee == "snp") return make_snp(not_before, not_after);
  if (tee == "tdx") return make_tdx(not_before, not_after);
  if (tee == "tpm") return make_tpm(not_before, not_after);
  return fail(Code::kInvalidArgument,
              fmt::format("make emulated guest: TEE '{}', want snp, tdx or tpm", tee));
}

}  // namespace coffer::emulator
