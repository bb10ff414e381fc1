// Every TDX and vTPM vector gives its recorded verdict and values from the command line too.
#include <gtest/gtest.h>
#include <unistd.h>

#include <map>
#include <nlohmann/json.hpp>

#include "base/fd.h"
#include "tests/cli/run_coffer.h"
#include "tests/tee/tdx/vectors.h"

namespace coffer::cli {
namespace {

using nlohmann::json;
using tdx::index_entries;
using tdx::vector_json;
using tdx::vector_text;
using tdx::vectors_dir;
using Args = std::vector<std::string>;

std::string path_of(const json& relative) {
  return (vectors_dir() / relative.get<std::string>()).string();
}

// A file that lives as long as this.
class ScratchFile {
 public:
  explicit ScratchFile(std::string_view content)
      : path_(std::filesystem::temp_directory_path() /
              ("coffer-cli-" + std::to_string(::getpid()) + "-" + std::to_string(count_++))) {
    EXPECT_TRUE(write_file(path_, content));
  }
  ScratchFile(const ScratchFile&) = delete;
  ScratchFile& operator=(const ScratchFile&) = delete;
  ~ScratchFile() { std::filesystem::remove(path_); }
  [[nodiscard]] std::string path() const { return path_.string(); }

 private:
  static inline int count_ = 0;
  std::filesystem::path path_;
};

struct Judged {
  int exit_code = -1;
  json verdict;
  [[nodiscard]] std::vector<std::string> failed() const {
    std::vector<std::string> names;
    for (const auto& check : verdict["checks"]) {
      if (!check["ok"].get<bool>()) names.push_back(check["name"]);
    }
    return names;
  }
};

Judged judge(Args args) {
  args.insert(args.begin(), {"evidence", "verify"});
  args.emplace_back("--json");
  const Outcome outcome = run_coffer(args);
  EXPECT_LE(outcome.exit_code, 1) << outcome.err;
  EXPECT_EQ(outcome.err, "");
  Judged out{.exit_code = outcome.exit_code,
             .verdict = json::parse(outcome.out, nullptr, /*allow_exceptions=*/false)};
  EXPECT_TRUE(out.verdict.is_object()) << outcome.out;
  if (!out.verdict.is_object()) out.verdict = {{"verified", nullptr}, {"checks", json::array()}};
  EXPECT_EQ(out.verdict["verified"], outcome.exit_code == 0);
  return out;
}

Judged judge_case(const json& test, Args more) {
  Args args = {"--tee", "tdx", "--quote", path_of(test["quote"]), "--time", test["verify_time"]};
  const std::map<std::string, std::string> flags = {
      {"tcb_info", "--tcb-info"},
      {"qe_identity", "--qe-identity"},
      {"tcb_chain", "--tcb-signing-chain"},
      {"tcb_signing_chain", "--tcb-signing-chain"},
      {"root_crl", "--root-ca-crl"},
      {"root_ca_crl", "--root-ca-crl"},
      {"pck_crl", "--pck-crl"},
      {"pck_crl_issuer_chain", "--pck-crl-issuer-chain"}};
  for (const auto& [key, file] : test["collateral"].items()) {
    args.insert(args.end(), {flags.at(key), path_of(file)});
  }
  if (test.contains("trusted_root")) {
    args.insert(args.end(), {"--trusted-root", path_of(test["trusted_root"])});
  }
  args.insert(args.end(), more.begin(), more.end());
  const ScratchFile policy(test.value("policy", json::object()).dump());
  args.insert(args.end(), {"--policy", policy.path()});
  return judge(args);
}

// "accept" holds by default; "accept-with-status" only when the status is accepted.
Judged expect_verdict(const json& test, const std::string& want) {
  const Judged plain = judge_case(test, {});
  const Judged any = judge_case(test, {"--accept-tcb-status", "any"});
  EXPECT_EQ(plain.exit_code, want == "accept" ? 0 : 1) << plain.verdict.dump(1);
  EXPECT_EQ(any.exit_code, want == "reject" ? 1 : 0) << any.verdict.dump(1);
  EXPECT_EQ(plain.verdict["emulated"], false);
  if (want == "accept-with-status") {
    EXPECT_EQ(plain.failed(), Args{"tcb.status"});
  }
  return plain;
}

TEST(EvidenceTdx, RealQuotesGiveTheirVerdictAndStatus) {
  COFFER_NEED_VECTORS();
  const json cases = vector_json("tests.json")["cases"];
  ASSERT_FALSE(cases.empty());
  for (const auto& test : cases) {
    SCOPED_TRACE(test["id"].get<std::string>());
    const Judged judged = expect_verdict(test, test["expected_verdict"]);
    if (test["platform_status"].is_null() || test["id"] == "real-sgx-quote-refused") continue;
    const json& claims = judged.verdict["claims"];
    EXPECT_EQ(claims["tcb_status"], test["expected_status"]);
    EXPECT_EQ(claims["platform_tcb_status"], test["platform_status"]);
    EXPECT_EQ(claims["module_tcb_status"], test["module_status"]);
    EXPECT_EQ(claims["qe_tcb_status"], test["qe_status"]);
    EXPECT_EQ(claims["platform_tcb_date"], test["platform_tcb_date"]);
    EXPECT_EQ(claims["advisory_ids"], test["advisories"]);
  }
}

TEST(EvidenceTdx, SyntheticCasesGiveTheirVerdictAndStatus) {
  COFFER_NEED_VECTORS();
  const json cases = vector_json("synthetic/cases.json")["cases"];
  ASSERT_FALSE(cases.empty());
  for (const auto& test : cases) {
    SCOPED_TRACE(test["id"].get<std::string>());
    const Judged judged = expect_verdict(test, test["expect"]);
    if (!test.contains("expected_status")) continue;
    EXPECT_EQ(judged.verdict["claims"]["tcb_status"], test["expected_status"]);
  }
}

TEST(EvidenceTdx, QuotesShowTheirRecordedFields) {
  COFFER_NEED_VECTORS();
  for (const auto& entry : index_entries("quote")) {
    SCOPED_TRACE(entry["file"].get<std::string>());
    const Outcome shown =
        run_coffer({"evidence", "show", path_of(entry["file"]), "--tee", "tdx", "--json"});
    if (entry["quote_version"] == 3) {
      EXPECT_EQ(shown.exit_code, 2);
      EXPECT_TRUE(shown.err.starts_with("coffer: ")) << shown.err;
      continue;
    }
    ASSERT_EQ(shown.exit_code, 0) << shown.err;
    const json claims = json::parse(shown.out);
    EXPECT_EQ(claims["quote_version"], entry["quote_version"]);
    EXPECT_EQ(claims["body_type"], entry["body"]);
    EXPECT_EQ(claims["trailing_bytes"], entry["trailing_bytes"]);
    EXPECT_EQ(claims["fmspc"], entry["fmspc"]);
    EXPECT_EQ(claims["td_attribute_bits"], entry["td_attribute_bits"]);
    EXPECT_EQ(claims["xfam_bits"], entry["xfam_bits"]);
    for (const char* name : {"mrtd", "mrseam", "mrconfigid", "mrowner", "mrownerconfig"}) {
      const std::string ours = std::string("mr_") + std::string(name).substr(2);
      const auto& found = claims[ours == "mr_configid"      ? "mr_config_id"
                                 : ours == "mr_ownerconfig" ? "mr_owner_config"
                                                            : ours];
      EXPECT_EQ(found, entry["expected"][name]) << name;
    }
    for (int i = 0; i < 4; ++i) {
      EXPECT_EQ(claims["rtmr_" + std::to_string(i)], entry["expected"]["rtmr" + std::to_string(i)]);
    }
    EXPECT_EQ(claims["report_data"], entry["expected"]["report_data"]);
  }
}

// The log of a real TD beside its quote, and the same with a second separator.
TEST(EvidenceTdx, EventLogsReplayOrAreNamed) {
  COFFER_NEED_VECTORS();
  std::size_t checked = 0;
  for (const auto& entry : index_entries("ccel")) {
    if (!entry.contains("quote")) continue;
    ++checked;
    const Judged judged = judge({"--tee", "tdx", "--quote", path_of(entry["quote"]), "--event-log",
                                 path_of(entry["file"]), "--tcb-info", "/dev/null"});
    EXPECT_EQ(judged.exit_code, 1) << "no collateral";
    std::size_t log_checks = 0;
    for (const auto& check : judged.verdict["checks"]) {
      if (!check["name"].get<std::string>().starts_with("event_log")) continue;
      ++log_checks;
      EXPECT_EQ(check["ok"], true) << check.dump();
    }
    EXPECT_GE(log_checks, 4U);
  }
  EXPECT_GE(checked, 1U);
}

TEST(MeasureTdx, FirmwareGivesItsMrtd) {
  COFFER_NEED_VECTORS();
  for (const auto& entry : index_entries("tdvf")) {
    const Outcome outcome = run_coffer(
        {"measure", "tdx", "--firmware", path_of(entry["file"]), "--output-format", "json"});
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    const json out = json::parse(outcome.out);
    EXPECT_EQ(out["mr_td_single_pass"], entry["expected_mrtd_single_pass"]);
    EXPECT_EQ(out["mr_td_two_pass"], entry["expected_mrtd_two_pass"]);
  }
}

TEST(EvidenceTpm, PlainQuoteVerifiesAndEachExpectationIsHeld) {
  COFFER_NEED_VECTORS();
  const Args base = {"--tee",       "tpm",
                     "--quote",     path_of("vtpm/plain_tpm_attest.bin"),
                     "--signature", path_of("vtpm/plain_tpm_sig_tpmt.bin"),
                     "--ak",        path_of("vtpm/plain_ak_spki.der"),
                     "--pcrs",      path_of("vtpm/plain_pcrs.json")};
  json parsed;
  for (const auto& entry : index_entries("tpm-quote")) {
    if (entry["file"] == "vtpm/plain_tpm_attest.bin") parsed = entry["parsed"];
  }
  const auto with = [&](const Args& more) {
    Args args = base;
    args.insert(args.end(), more.begin(), more.end());
    return judge(args);
  };
  const std::string nonce = parsed["extra"];
  const Judged good = with({"--nonce", nonce, "--require-pcrs", "0,4,9"});
  EXPECT_EQ(good.exit_code, 0) << good.verdict.dump(1);
  EXPECT_EQ(good.verdict["claims"]["pcr_digest"], parsed["digest"]);
  EXPECT_EQ(with({"--nonce", "00"}).failed(), Args{"nonce"});
  EXPECT_EQ(with({"--bank", "sha384"}).failed(), (Args{"selection.bank", "selection.pcrs"}));
  EXPECT_EQ(with({"--pcr", "4=" + std::string(64, 'a')}).failed(), Args{"expect.pcr_4"});
}

// The TD's quote vouches for the vTPM's key, which signs the vTPM's quote.
TEST(EvidenceTpm, AzureQuoteIsBoundToTheTdsQuote) {
  COFFER_NEED_VECTORS();
  const Outcome shown = run_coffer(
      {"evidence", "show", path_of("quotes/v4_azure_trustee.dat"), "--tee", "tdx", "--json"});
  ASSERT_EQ(shown.exit_code, 0) << shown.err;
  const std::string report_data = json::parse(shown.out)["report_data"];
  const Args base = {"--tee",       "tpm",
                     "--quote",     path_of("azure-vtpm/azure_td_tpm_attest.bin"),
                     "--signature", path_of("azure-vtpm/azure_td_tpm_sig.bin"),
                     "--ak",        path_of("azure-vtpm/azure_td_hcl_report.bin"),
                     "--pcrs",      path_of("azure-vtpm/azure_td_pcrs.json"),
                     "--nonce",     "6368616c6c656e6765"};
  const auto with = [&](const std::string& data) {
    Args args = base;
    args.insert(args.end(), {"--hardware-report-data", data});
    return judge(args).failed();
  };
  EXPECT_EQ(with(report_data), Args{});
  EXPECT_EQ(with(std::string(128, '0')), Args{"ak.bound"});
}

}  // namespace
}  // namespace coffer::cli
