// `coffer evidence show|verify --tee tdx`.

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/fd.h"
#include "cli/evidence.h"
#include "cli/evidence_io.h"
#include "tee/tdx/verify.h"

namespace coffer::cli {
namespace {

constexpr std::string_view kVerifyUsage = "evidence verify --tee tdx --quote FILE [OPTION]...";
constexpr std::string_view kVerifyHelp =
    "Verifies a TDX quote (version 4 or 5) against Intel's collateral, and what it says against\n"
    "what you expect. Exit 0 verified, 1 not verified, 2 unreadable input.\n\n"
    "--collateral takes a folder with tcb_info.json, qe_identity.json, tcb_signing_chain.pem,\n"
    "root_ca_crl.der, pck_crl.der and, optionally, pck_crl_issuer_chain.pem.\n\n"
    "example: coffer evidence verify --tee tdx --quote quote.dat --collateral collateral/ \\\n"
    "           --mrtd 7348...f876 --report-data 945e...5c3a --accept-tcb-status "
    "UpToDate,SWHardeningNeeded";
constexpr std::string_view kShowHelp =
    "Prints what a TDX quote says. Nothing is verified.\n\n"
    "example: coffer evidence show quote.dat --tee tdx --json";

struct Settings {
  std::string tee, quote, collateral, tcb_info, qe_identity, tcb_chain, root_crl, pck_crl;
  std::string pck_crl_chain, report_data, mr_config_id, mr_td, mr_owner, mr_owner_config, mr_seam;
  std::string event_log, statuses, policy, time;
  std::vector<std::string> roots, rtmrs;
  bool allow_debug = false;
  bool json = false;
};

std::unexpected<Error> bad(std::string_view option, std::string_view why) {
  return fail(Code::kInvalidArgument, fmt::format("option '{}': {}", option, why));
}

// The first of these files that is in the folder; empty when none is.
Result<std::string> read_first(const std::filesystem::path& folder,
                               std::initializer_list<const char*> names) {
  for (const char* name : names) {
    auto text = read_file(folder / name);
    if (text || text.error().code() != Code::kNotFound) return text;
  }
  return std::string();
}

Result<tdx::CollateralInput> read_folder(const std::filesystem::path& folder) {
  std::error_code error;
  if (!std::filesystem::is_directory(folder, error)) {
    return bad("--collateral", fmt::format("'{}' is no folder", folder.string()));
  }
  tdx::CollateralInput input;
  COFFER_TRY(input.tcb_info, read_first(folder, {"tcb_info.json", "tcbInfo.json"}));
  COFFER_TRY(input.qe_identity, read_first(folder, {"qe_identity.json", "qeIdentity.json"}));
  COFFER_TRY(const auto chain,
             read_first(folder, {"tcb_signing_chain.pem", "tcb_chain.pem", "tcbSignChain.pem"}));
  COFFER_TRY(const auto root_crl,
             read_first(folder, {"root_ca_crl.der", "root_crl.der", "rootCaCrl.der"}));
  COFFER_TRY(const auto pck_crl, read_first(folder, {"pck_crl.der", "intermediateCaCrl.der"}));
  COFFER_TRY(const auto issuer, read_first(folder, {"pck_crl_issuer_chain.pem"}));
  input.tcb_signing_chain = to_bytes(chain);
  input.root_ca_crl = to_bytes(root_crl);
  input.pck_crl = to_bytes(pck_crl);
  input.pck_crl_issuer_chain = to_bytes(issuer);
  return input;
}

Status read_into(const std::string& path, std::string& out) {
  if (path.empty()) return {};
  COFFER_TRY(out, read_file(path));
  return {};
}

Status read_into(const std::string& path, Bytes& out) {
  std::string text;
  COFFER_TRY_VOID(read_into(path, text));
  if (!path.empty()) out = to_bytes(text);
  return {};
}

// The folder first; single files replace what it holds.
Result<tdx::CollateralInput> read_collateral(const Settings& settings) {
  tdx::CollateralInput input;
  if (!settings.collateral.empty()) {
    COFFER_TRY(input, read_folder(settings.collateral));
  }
  COFFER_TRY_VOID(read_into(settings.tcb_info, input.tcb_info));
  COFFER_TRY_VOID(read_into(settings.qe_identity, input.qe_identity));
  COFFER_TRY_VOID(read_into(settings.tcb_chain, input.tcb_signing_chain));
  COFFER_TRY_VOID(read_into(settings.root_crl, input.root_ca_crl));
  COFFER_TRY_VOID(read_into(settings.pck_crl, input.pck_crl));
  COFFER_TRY_VOID(read_into(settings.pck_crl_chain, input.pck_crl_issuer_chain));
  return input;
}

Result<tdx::TrustAnchors> read_anchors(const Settings& settings) {
  if (settings.roots.empty()) return tdx::TrustAnchors();
  COFFER_TRY(auto bundle, read_bundles(settings.roots));
  if (bundle.certificates.empty()) return bad("--trusted-root", "holds no certificate");
  return tdx::TrustAnchors(std::move(bundle.certificates));
}

template <std::size_t N>
Status read_hex(std::string_view option, std::string_view text,
                std::optional<std::array<std::uint8_t, N>>& out) {
  if (text.empty()) return {};
  const auto bytes = from_hex(text);
  if (!bytes) return bad(option, bytes.error().to_string());
  if (bytes->size() != N) return bad(option, fmt::format("want {} hex digits", 2 * N));
  std::ranges::copy(*bytes, out.emplace().begin());
  return {};
}

// REPORTDATA may be given shorter: a guest's 32-byte digest is padded with zeros by the kernel.
Status read_report_data(std::string text, tdx::Expectations& want) {
  constexpr std::size_t kDigits = 128;
  if (text.empty()) return {};
  if (text.size() < kDigits) text.resize(kDigits, '0');
  return read_hex("--report-data", text, want.report_data);
}

Status read_rtmrs(const Settings& settings, tdx::Expectations& want) {
  for (const std::string& item : settings.rtmrs) {
    if (item.size() < 2 || item[0] < '0' || item[0] > '3' || item[1] != '=') {
      return bad("--rtmr", fmt::format("'{}': want N=HEX with N from 0 to 3", item));
    }
    const auto index = static_cast<std::size_t>(item[0] - '0');
    COFFER_TRY_VOID(read_hex("--rtmr", std::string_view(item).substr(2), want.rtmr[index]));
  }
  return {};
}

Result<tdx::Expectations> read_expectations(const Settings& settings) {
  tdx::Expectations want;
  if (!settings.policy.empty()) {
    COFFER_TRY(const std::string policy, read_file(settings.policy));
    COFFER_TRY_VOID(tdx::apply_policy(policy, want));
  }
  COFFER_TRY_VOID(read_report_data(settings.report_data, want));
  COFFER_TRY_VOID(read_hex("--mrconfigid", settings.mr_config_id, want.mr_config_id));
  COFFER_TRY_VOID(read_hex("--mrtd", settings.mr_td, want.mr_td));
  COFFER_TRY_VOID(read_hex("--mrowner", settings.mr_owner, want.mr_owner));
  COFFER_TRY_VOID(read_hex("--mrownerconfig", settings.mr_owner_config, want.mr_owner_config));
  COFFER_TRY_VOID(read_hex("--mrseam", settings.mr_seam, want.mr_seam));
  COFFER_TRY_VOID(read_rtmrs(settings, want));
  if (!settings.statuses.empty()) {
    COFFER_TRY(want.accepted_statuses, tdx::parse_accepted_statuses(settings.statuses));
  }
  if (settings.allow_debug) want.allow_debug = true;
  return want;
}

Result<tee::Verdict> run_verify(const Settings& settings) {
  if (settings.quote.empty()) return bad("--quote", "is needed");
  COFFER_TRY(const std::string quote, read_file(settings.quote));
  COFFER_TRY(auto collateral, read_collateral(settings));
  COFFER_TRY(auto anchors, read_anchors(settings));
  COFFER_TRY(const auto want, read_expectations(settings));
  COFFER_TRY(const tee::UnixTime time, time_option(settings.time));
  std::string log;
  COFFER_TRY_VOID(read_into(settings.event_log, log));
  tdx::Evidence evidence{.quote = as_bytes(quote), .event_log = {}};
  if (!settings.event_log.empty()) evidence.event_log = as_bytes(log);
  const auto set = tdx::CollateralSet::prepare(std::move(collateral), std::move(anchors));
  return tdx::verify(evidence, set, want, time);
}

void declare_verify(Options& options, Settings& s) {
  options.value("--tee", &s.tee, "tdx")
      .value("--quote", &s.quote, "the quote, as received")
      .value("--collateral", &s.collateral, "folder of collateral")
      .value("--tcb-info", &s.tcb_info, "TCB info JSON")
      .value("--qe-identity", &s.qe_identity, "QE identity JSON")
      .value("--tcb-signing-chain", &s.tcb_chain, "TCB signing certificate and root")
      .value("--root-ca-crl", &s.root_crl, "revocation list of the root")
      .value("--pck-crl", &s.pck_crl, "revocation list of the PCK CA")
      .value("--pck-crl-issuer-chain", &s.pck_crl_chain, "PCK CA and root")
      .values("--trusted-root", &s.roots, "trust this root instead of Intel's")
      .value("--report-data", &s.report_data, "expected REPORTDATA, hex, padded with zeros")
      .value("--mrconfigid", &s.mr_config_id, "expected MRCONFIGID, hex")
      .value("--mrtd", &s.mr_td, "expected MRTD, hex")
      .value("--mrowner", &s.mr_owner, "expected MROWNER, hex")
      .value("--mrownerconfig", &s.mr_owner_config, "expected MROWNERCONFIG, hex")
      .value("--mrseam", &s.mr_seam, "expected MRSEAM, hex")
      .values("--rtmr", &s.rtmrs, "expected register: N=HEX")
      .value("--event-log", &s.event_log, "CCEL, or dstack's JSON, which must replay to the RTMRs")
      .value("--accept-tcb-status", &s.statuses, "comma list, or any (default UpToDate)")
      .flag("--allow-debug", &s.allow_debug, "accept a TD that its host can look into")
      .value("--policy", &s.policy, "JSON file of expectations")
      .value("--time", &s.time, "time of verification, RFC 3339 (default now)")
      .flag("--json", &s.json, "print the verdict as JSON");
}

Result<nlohmann::json> show(const std::string& path) {
  COFFER_TRY(const std::string quote, read_file(path));
  // Refuse what is no quote before anything is shown.
  COFFER_TRY_VOID(tdx::parse_quote(as_bytes(quote)));
  const auto nothing = tdx::CollateralSet::prepare({}, tdx::TrustAnchors());
  const auto verdict =
      tdx::verify({.quote = as_bytes(quote), .event_log = {}}, nothing, tdx::Expectations(), 0);
  auto claims = verdict.claims();
  claims.erase("collateral_expires");
  return claims;
}

}  // namespace

int verify_tdx(Args args) {
  Settings settings;
  Options options(kVerifyUsage, kVerifyHelp);
  declare_verify(options, settings);
  if (const auto status = options.parse(args); !status) return report(status.error());
  if (options.help_shown()) return kExitOk;
  const auto verdict = run_verify(settings);
  if (!verdict) return report(verdict.error());
  return print_verdict(*verdict, settings.json);
}

int show_tdx(Args args) { return show_file(args, "tdx", kShowHelp, show); }

}  // namespace coffer::cli
