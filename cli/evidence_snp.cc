// `coffer evidence show|verify --tee snp`.
#include <fmt/format.h>

#include <iterator>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/json.h"
#include "cli/evidence.h"
#include "cli/evidence_io.h"
#include "tee/sev-snp/cert_table.h"
#include "tee/sev-snp/claims.h"
#include "tee/sev-snp/verify.h"

namespace coffer::cli {
namespace {

struct VerifyOptions {
  std::string tee, report, product, report_data, host_data, measurement, vmpl, min_tcb, policy,
      time;
  std::vector<std::string> certs, trusted_roots, crls;
  bool allow_debug = false, allow_migration = false, json = false;
};

constexpr std::string_view kVerifyHelp =
    "Verifies an SEV-SNP attestation report. Without --trusted-root AMD's pinned roots are the\n"
    "only anchors; the intermediate keys are built in too, so a VCEK alone is enough.\n\n"
    "Example: coffer evidence verify --tee snp --report report.bin --certs vcek.der \\\n"
    "           --report-data 0011.. --measurement aabb.. --min-tcb bl=4,snp=24,ucode=219";

void declare(Options& options, VerifyOptions& o) {
  options.value("--tee", &o.tee, "snp")
      .value("--report", &o.report, "the report, 1184 bytes")
      .values("--certs", &o.certs, "PEM, DER or certificate table; file or directory; repeatable")
      .values("--trusted-root", &o.trusted_roots, "trust these ARKs instead of AMD's pinned ones")
      .values("--crl", &o.crls, "revocation list of the ARK; repeatable")
      .value("--product", &o.product, "Milan, Genoa or Turin: must be the chain's")
      .value("--report-data", &o.report_data, "hex, zeros added up to 64 bytes")
      .value("--host-data", &o.host_data, "hex, zeros added up to 32 bytes")
      .value("--measurement", &o.measurement, "hex, 48 bytes")
      .value("--vmpl", &o.vmpl, "0..3; default 0 (for a VLEK 0 or 1)")
      .value("--min-tcb", &o.min_tcb, "for REPORTED_TCB: fmc=N,bl=N,tee=N,snp=N,ucode=N")
      .flag("--allow-debug", &o.allow_debug, "accept a guest that the host may debug")
      .flag("--allow-migration", &o.allow_migration, "accept a guest with a migration agent")
      .value("--policy", &o.policy, "JSON file of expectations, see below")
      .value("--time", &o.time, "RFC 3339; default now")
      .flag("--json", &o.json, "print the verdict as JSON");
}

// A certificate table is neither PEM nor a DER SEQUENCE.
Result<tee::X509Bundle> parse_certs(BytesView bytes, const std::string& what) {
  constexpr std::uint8_t kDerSequence = 0x30;
  if (tee::looks_like_pem(bytes) || (!bytes.empty() && bytes[0] == kDerSequence)) {
    return tee::parse_x509_bundle(bytes, what);
  }
  auto table = snp::parse_cert_table(bytes);
  if (!table) return fail(std::move(table.error()).with_context(what));
  return snp::certificates_of(*table);
}

Result<snp::TrustMaterial> read_material(const VerifyOptions& o) {
  snp::TrustMaterial out;
  COFFER_TRY(const std::vector<std::filesystem::path> files, expand_paths(o.certs));
  for (const auto& file : files) {
    COFFER_TRY(const Bytes bytes, read_bytes(file));
    COFFER_TRY(tee::X509Bundle part, parse_certs(bytes, fmt::format("read '{}'", file.string())));
    std::move(part.certificates.begin(), part.certificates.end(),
              std::back_inserter(out.certificates));
    std::move(part.crls.begin(), part.crls.end(), std::back_inserter(out.crls));
  }
  COFFER_TRY(tee::X509Bundle roots, read_bundles(o.trusted_roots));
  if (!o.trusted_roots.empty() && roots.certificates.empty()) {
    return fail(Code::kInvalidArgument, "option '--trusted-root': no certificate in it");
  }
  out.trusted_roots = std::move(roots.certificates);
  COFFER_TRY(tee::X509Bundle crls, read_bundles(o.crls));
  std::move(crls.crls.begin(), crls.crls.end(), std::back_inserter(out.crls));
  return out;
}

Result<snp::Expectations> read_policy(const std::string& path) {
  if (path.empty()) return snp::Expectations{};
  COFFER_TRY(const Bytes text, read_bytes(path));
  COFFER_TRY(const nlohmann::json object, parse_json(as_text(text), fmt::format("'{}'", path)));
  return snp::parse_expectations(object);
}

Status apply_options(const VerifyOptions& o, snp::Expectations& out) {
  if (o.allow_debug) out.allow_debug = true;
  if (o.allow_migration) out.allow_migrate_ma = true;
  if (!o.report_data.empty()) {
    COFFER_TRY(out.report_data, snp::parse_octets(o.report_data, 64, true, "--report-data"));
  }
  if (!o.host_data.empty()) {
    COFFER_TRY(out.host_data, snp::parse_octets(o.host_data, 32, true, "--host-data"));
  }
  if (!o.measurement.empty()) {
    COFFER_TRY(Bytes measurement, snp::parse_octets(o.measurement, 48, false, "--measurement"));
    out.measurements = {std::move(measurement)};
  }
  if (!o.vmpl.empty()) {
    if (o.vmpl.size() != 1 || o.vmpl[0] < '0' || o.vmpl[0] > '3') {
      return fail(Code::kInvalidArgument, fmt::format("option '--vmpl': '{}', want 0..3", o.vmpl));
    }
    out.vmpl = static_cast<std::uint32_t>(o.vmpl[0] - '0');
  }
  if (!o.min_tcb.empty()) {
    COFFER_TRY(out.min_tcb, snp::parse_minimum_tcb(o.min_tcb));
  }
  return {};
}

Result<tee::Verdict> run_verify_snp(const VerifyOptions& o) {
  if (o.report.empty()) {
    return fail(Code::kInvalidArgument, "option '--report': missing (the report's file)");
  }
  const auto product = snp::product_by_name(o.product);
  if (!o.product.empty() && !product) {
    return fail(Code::kInvalidArgument,
                fmt::format("option '--product': '{}', want Milan, Genoa or Turin", o.product));
  }
  COFFER_TRY(const Bytes report, read_bytes(o.report));
  COFFER_TRY(const snp::TrustMaterial material, read_material(o));
  COFFER_TRY(snp::Expectations expectations, read_policy(o.policy));
  COFFER_TRY_VOID(apply_options(o, expectations));
  COFFER_TRY(const tee::UnixTime time, time_option(o.time));
  return snp::verify({.report = report,
                      .material = material,
                      .expectations = expectations,
                      .time = time,
                      .product = product});
}

Result<nlohmann::json> show_report(const std::string& path) {
  COFFER_TRY(const Bytes bytes, read_bytes(path));
  COFFER_TRY(const snp::Report report, snp::decode_report(bytes));
  nlohmann::json out{{"tee", "snp"},
                     {"claims", snp::report_claims(report, report.likely_layout())},
                     {"faults", nlohmann::json::array()}};
  for (const auto& fault : snp::structure_faults(report, bytes)) {
    out["faults"].push_back({{"field", fault.field}, {"want", fault.want}, {"got", fault.got}});
  }
  return out;
}

void print_text(const nlohmann::json& shown) {
  print_fields(shown["claims"], false);
  for (const auto& fault : shown["faults"]) {
    fmt::print("fault: {}: want {}, got {}\n", fault["field"].get<std::string>(),
               fault["want"].get<std::string>(), fault["got"].get<std::string>());
  }
}

}  // namespace

int verify_snp(Args args) {
  VerifyOptions o;
  const std::string help = fmt::format("{}\n\nKeys of --policy: {}.", kVerifyHelp,
                                       fmt::join(snp::expectation_keys(), ", "));
  Options options("evidence verify --tee snp --report FILE [OPTION...]", help);
  declare(options, o);
  if (const auto status = options.parse(args); !status) return report(status.error());
  if (options.help_shown()) return kExitOk;
  const auto verdict = run_verify_snp(o);
  if (!verdict) return report(verdict.error());
  return print_verdict(*verdict, o.json);
}

int show_snp(Args args) {
  std::string tee;
  bool json = false;
  std::vector<std::string> files;
  Options options("evidence show FILE --tee snp [--json]",
                  "Prints the fields of an SEV-SNP attestation report; nothing is verified.\n\n"
                  "Example: coffer evidence show report.bin --tee snp --json");
  options.value("--tee", &tee, "snp").flag("--json", &json, "print JSON").positional(&files);
  if (const auto status = options.parse(args); !status) return report(status.error());
  if (options.help_shown()) return kExitOk;
  if (files.size() != 1) {
    return report(Error(Code::kInvalidArgument, "evidence show: want one file (see --help)"));
  }
  const auto shown = show_report(files[0]);
  if (!shown) return report(shown.error());
  if (json) {
    fmt::print("{}\n", shown->dump(2));
  } else {
    print_text(*shown);
  }
  return kExitOk;
}

}  // namespace coffer::cli
