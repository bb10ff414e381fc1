// `coffer evidence show|verify --tee tpm`.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/fd.h"
#include "cli/direct_boot.h"
#include "cli/evidence.h"
#include "cli/evidence_io.h"

namespace coffer::cli {
namespace {

constexpr std::string_view kVerifyHelp =
    "Verifies a TPM quote: signature, nonce, PCR selection, PCR values, event log. Whether the\n"
    "attestation key is that of a TPM you trust is yours to know.\n"
    "With --kernel the PCRs must be those of that direct boot, as `measure tpm` computes them.\n\n"
    "Example: coffer evidence verify --tee tpm --quote quote.bin --signature sig.bin --ak ak.pub "
    "\\\n"
    "           --pcrs pcrs.json --nonce 00112233 --require-pcrs 4,9";
constexpr std::string_view kShowHelp =
    "Prints what a TPMS_ATTEST says. Nothing is verified.\n\n"
    "Example: coffer evidence show quote.bin --tee tpm --json";

struct Settings {
  std::string tee, quote, signature, ak, pcrs, event_log, nonce, bank, required, policy, time,
      report_data;
  std::vector<std::string> values;
  BootFlags boot;
  bool json = false;
};

std::unexpected<Error> bad(std::string_view option, std::string_view why) {
  return fail(Code::kInvalidArgument, fmt::format("option '{}': {}", option, why));
}

// Through the policy's own reader: "4,9" becomes [4,9], "4=HEX" a member of an object.
Status apply_options(const Settings& s, tpm::Expectations& want) {
  nlohmann::json policy = nlohmann::json::object();
  if (!s.bank.empty()) policy["bank"] = s.bank;
  if (!s.nonce.empty()) policy["expect_nonce"] = s.nonce;
  if (!s.report_data.empty()) policy["hardware_report_data"] = s.report_data;
  if (!s.required.empty()) {
    const auto list = nlohmann::json::parse("[" + s.required + "]", nullptr, false);
    if (list.is_discarded()) return bad("--require-pcrs", "want numbers, such as 4,9");
    policy["required_pcrs"] = list;
  }
  for (const std::string& item : s.values) {
    const auto equals = item.find('=');
    if (equals == std::string::npos) return bad("--pcr", "want N=HEX");
    policy["expect_pcrs"][item.substr(0, equals)] = item.substr(equals + 1);
  }
  return tpm::apply_policy(policy.dump(), want);
}

Result<tpm::Expectations> read_expectations(const Settings& s) {
  tpm::Expectations want;
  if (!s.policy.empty()) {
    COFFER_TRY(const std::string policy, read_file(s.policy));
    COFFER_TRY_VOID(tpm::apply_policy(policy, want));
  }
  COFFER_TRY_VOID(apply_options(s, want));
  if (!s.boot.kernel.empty()) {
    COFFER_TRY(const BootFiles files, BootFiles::read(s.boot));
    COFFER_TRY_VOID(tpm::expect_boot(files.boot(), files.reference(), want));
  } else if (!(s.boot.initrd + s.boot.append + s.boot.memory + s.boot.reference).empty()) {
    return bad("--kernel", "is needed with --initrd, --append, --memory and --reference-log");
  }
  return want;
}

Result<tee::Verdict> run_verify(const Settings& s) {
  if (s.quote.empty() || s.signature.empty() || s.ak.empty() || s.pcrs.empty()) {
    return bad("--quote", "is needed, and so are --signature, --ak and --pcrs");
  }
  COFFER_TRY(const Bytes attest, read_bytes(s.quote));
  COFFER_TRY(const Bytes signature, read_bytes(s.signature));
  COFFER_TRY(const Bytes key, read_bytes(s.ak));
  COFFER_TRY(const std::string pcrs, read_file(s.pcrs));
  COFFER_TRY(const tpm::AttestationKey ak, tpm::parse_attestation_key(key));
  COFFER_TRY(const tpm::Expectations want, read_expectations(s));
  tpm::Evidence evidence{.attest = attest, .signature = signature, .pcrs = {}, .event_log = {}};
  COFFER_TRY(evidence.pcrs, tpm::parse_pcrs(pcrs));
  Bytes log;
  if (!s.event_log.empty()) {
    COFFER_TRY(log, read_bytes(s.event_log));
    evidence.event_log = log;
  }
  return tpm::verify(evidence, ak, want);
}

void declare(Options& options, Settings& s) {
  options.value("--tee", &s.tee, "tpm")
      .value("--quote", &s.quote, "TPMS_ATTEST")
      .value("--signature", &s.signature, "TPMT_SIGNATURE, or a bare RSASSA signature")
      .value("--ak", &s.ak,
             "attestation key: SubjectPublicKeyInfo (DER, PEM), TPM2B_PUBLIC, or an HCL report")
      .value("--pcrs", &s.pcrs, "JSON {\"bank\", \"pcrs\": [HEX...]} or {BANK: {N: HEX}}")
      .value("--event-log", &s.event_log, "log that must replay to the quoted PCRs")
      .value("--nonce", &s.nonce, "expected extraData, hex")
      .value("--hardware-report-data", &s.report_data,
             "REPORT_DATA of the verified hardware evidence, hex: it must vouch for the key")
      .value("--bank", &s.bank, "bank that counts (default sha256)")
      .value("--require-pcrs", &s.required, "PCRs that must be quoted, such as 4,9")
      .values("--pcr", &s.values, "expected value: N=HEX")
      .value("--policy", &s.policy, "JSON file of expectations")
      .value("--time", &s.time, "accepted and not used: a TPM quote has no validity")
      .flag("--json", &s.json, "print the verdict as JSON");
  declare_boot(options, s.boot);
}

Result<nlohmann::json> show(const std::string& path) {
  COFFER_TRY(const Bytes bytes, read_bytes(path));
  COFFER_TRY(const tpm::Quote quote, tpm::parse_attest(bytes));
  nlohmann::json out = {{"magic", fmt::format("{:#x}", quote.magic)},
                        {"type", fmt::format("{:#x}", quote.type)},
                        {"qualified_signer", to_hex(quote.qualified_signer)},
                        {"extra_data", to_hex(quote.extra_data)},
                        {"clock", quote.clock},
                        {"reset_count", quote.reset_count},
                        {"restart_count", quote.restart_count},
                        {"safe", quote.safe},
                        {"firmware_version", fmt::format("{:#x}", quote.firmware_version)},
                        {"selection", nlohmann::json::object()},
                        {"pcr_digest", to_hex(quote.pcr_digest)}};
  for (const auto& selection : quote.selections) {
    out["selection"][std::string(eventlog::alg_name(selection.bank))] = selection.pcrs;
  }
  return out;
}

}  // namespace

int verify_tpm(Args args) {
  Settings settings;
  Options options("evidence verify --tee tpm --quote F --signature F --ak F --pcrs F [OPTION]...",
                  kVerifyHelp);
  declare(options, settings);
  if (const auto status = options.parse(args); !status) return report(status.error());
  if (options.help_shown()) return kExitOk;
  const auto verdict = run_verify(settings);
  if (!verdict) return report(verdict.error());
  return print_verdict(*verdict, settings.json);
}

int show_tpm(Args args) { return show_file(args, "tpm", kShowHelp, show); }

}  // namespace coffer::cli
