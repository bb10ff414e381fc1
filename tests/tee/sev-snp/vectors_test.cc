// Every vector gives the verdict and the key values that its index records.
#include "tests/tee/sev-snp/vectors.h"

#include "tee/sev-snp/verify.h"

namespace coffer::snp {
namespace {

using nlohmann::json;

tee::Verdict judge(const json& entry, const std::vector<std::string>& chain, const json& policy) {
  TrustMaterial material;
  for (const auto& file : chain) add_bundle(file, &material.certificates);
  if (entry.contains("trusted_root")) {
    add_bundle(entry["trusted_root"], &material.trusted_roots);
  }
  if (entry.contains("crl") && entry["crl"].is_string()) {
    std::vector<tee::Certificate> none;
    add_bundle(entry["crl"], &none, &material.crls);
  }
  const auto expectations = parse_expectations(policy);
  EXPECT_TRUE(expectations) << expectations.error().to_string();
  const Bytes report = load(entry.contains("report") ? entry["report"] : entry["file"]);
  return verify({.report = report,
                 .material = material,
                 .expectations = *expectations,
                 .time = *tee::parse_rfc3339(entry["verify_time"].get<std::string>()),
                 .product = product_by_name(entry["product"].get<std::string>())});
}

std::string failures(const tee::Verdict& verdict) {
  std::string out;
  for (const auto& check : verdict.failed()) {
    out += check.name + ": want " + check.expected + ", got " + check.found + "\n";
  }
  return out;
}

TEST_F(Vectors, EverySyntheticCaseGivesItsVerdict) {
  const json cases = load_json("synthetic/cases.json")["cases"];
  ASSERT_GE(cases.size(), 68U);
  for (const auto& entry : cases) {
    const auto verdict = judge(entry, entry["chain"].get<std::vector<std::string>>(),
                               entry.value("policy", json::object()));
    const std::string expect = entry["expect"];
    if (expect == "implementation-defined") continue;
    EXPECT_EQ(verdict.verified(), expect == "accept")
        << entry["id"] << " " << entry.value("reason", "") << "\n"
        << failures(verdict);
  }
}

// The check that each negative case must name; each case breaks one thing, so nothing else fails.
TEST_F(Vectors, EverySyntheticCaseFailsForItsOwnReasonOnly) {
  const std::map<std::string, std::set<std::string>> reasons = {
      {"neg_debug", {"policy.debug"}},
      {"neg_migrate_ma", {"policy.migrate_ma", "policy.migration_agent"}},
      {"neg_vmpl1", {"report.vmpl_expected"}},
      {"neg_vmpl_invalid", {"report.vmpl", "report.vmpl_expected"}},
      {"neg_policy_bit17_clear", {"report.policy"}},
      {"neg_policy_abi_too_new", {"policy.abi"}},
      {"neg_smt_disallowed", {"platform.smt"}},
      {"neg_min_tcb", {"tcb.minimum_reported"}},
      {"neg_min_tcb_not_lexicographic", {"tcb.minimum_reported"}},
      {"neg_alias_check", {"platform.alias_check"}},
      {"neg_idkey_mismatch", {"expect.id_key"}},
      {"neg_report_data", {"expect.report_data"}},
      {"neg_measurement", {"expect.measurement"}},
      {"neg_tcb_cert_higher", {"tcb.certificate"}},
      {"neg_committed_above_current", {"tcb.committed_at_most_current"}},
      {"neg_hwid", {"chip_id.certificate"}},
      {"neg_masked_chip_id", {"chip_id.certificate"}},
      {"neg_signing_key_says_vlek", {"report.signing_key"}},
      {"neg_signing_key_none", {"report.signing_key"}},
      {"neg_mask_chip_key", {"report.mask_chip_key", "report.signature"}},
      {"neg_product_name", {"chain.product_name"}},
      {"neg_len_short", {"report.length"}},
      {"neg_len_zero", {"report.length"}},
      {"neg_version1", {"report.version"}},
      {"neg_version6", {"report.version"}},
      {"neg_sig_algo0", {"report.signature_algo"}},
      {"neg_mbz_v2_188", {"report.reserved"}},
      {"neg_mbz_v3_rsvd_18b", {"report.reserved"}},
      {"neg_mbz_v3_rsvd_1f8", {"report.reserved"}},
      {"neg_mbz_keyinfo_rsvd", {"report.key_info"}},
      {"neg_mbz_rsvd_4c", {"report.reserved"}},
      {"neg_mbz_rsvd_1eb", {"report.reserved"}},
      {"neg_stepping_range", {"report.cpuid_step"}},
      {"neg_flip_measurement", {"report.signature"}},
      {"neg_flip_report_data", {"report.signature"}},
      {"neg_sig_r_zero", {"report.signature"}},
      {"neg_sig_r_plus_n", {"report.signature", "report.signature_format"}},
      {"neg_sig_r_padding", {"report.signature", "report.signature_format"}},
      {"neg_sig_tail", {"report.signature_format"}},
      {"neg_vcek_expired", {"chain.leaf_validity", "chain.time"}},
      {"neg_leaf_pkcs1", {"chain.leaf_algorithm"}},
      {"neg_leaf_signed_by_asvk", {"chain.issuer_kind"}},
      {"neg_leaf_missing_hwid", {"chain.leaf_extensions"}},
      {"neg_leaf_hwid_63", {"chain.leaf_extensions"}},
      {"neg_leaf_csp_id", {"chain.leaf_extensions"}},
      {"neg_leaf_spl_negative", {"chain.leaf_extensions"}},
      {"neg_leaf_p256", {"chain.leaf_key", "report.signature"}},
      {"neg_fake_root",
       {"chain.intermediate_signature", "chain.supplied_root", "chain.crl_signature"}},
      {"neg_ask_not_ca", {"chain.intermediate_ca"}},
      {"neg_crl_revoked_ask", {"chain.crl_revocation"}},
      {"neg_crl_expired", {"chain.crl_fresh", "chain.time"}},
      {"neg_crl_wrong_signer", {"chain.crl_signature"}},
      {"neg_crl_missing", {"chain.crl"}},
      {"neg_turin_tcb_layout", {"tcb.certificate", "tcb.layout", "tcb.reported_at_most_committed"}},
      {"neg_turin_fmc_missing", {"tcb.certificate"}},
  };
  const json cases = load_json("synthetic/cases.json")["cases"];
  for (const auto& entry : cases) {
    if (entry["expect"] != "reject") continue;
    const std::string id = entry["id"];
    const auto verdict = judge(entry, entry["chain"].get<std::vector<std::string>>(),
                               entry.value("policy", json::object()));
    std::set<std::string> names;
    for (const auto& check : verdict.failed()) names.insert(check.name);
    const auto reason = reasons.find(id);
    if (reason == reasons.end()) {
      EXPECT_EQ(id, "neg_wrong_ask") << "no reason recorded for it\n" << failures(verdict);
      continue;
    }
    EXPECT_EQ(names, reason->second) << id << "\n" << failures(verdict);
  }
}

TEST_F(Vectors, EveryRealReportGivesItsVerdictAndValues) {
  int seen = 0;
  const json index = load_json("INDEX.json");
  for (const auto& entry : index["files"]) {
    if (entry["kind"] != "report") continue;
    ++seen;
    const auto verdict =
        judge(entry, entry["cert_chain"].get<std::vector<std::string>>(), json::object());
    EXPECT_EQ(verdict.verified(), entry["expected_verdict"] == "accept") << entry["file"] << "\n"
                                                                         << failures(verdict);
    EXPECT_FALSE(verdict.emulated());
    for (const auto& [key, value] : entry["expected"].items()) {
      EXPECT_EQ(verdict.claims()[key], value) << entry["file"] << " " << key;
    }
    EXPECT_EQ(verdict.claims()["version"], entry["report_version"]);
  }
  EXPECT_EQ(seen, 11);
}

TEST_F(Vectors, TheLeafAloneVerifiesUnderThePinnedKeys) {
  int seen = 0;
  const json index = load_json("INDEX.json");
  for (const auto& entry : index["files"]) {
    if (entry["kind"] != "report" || entry["expected_verdict"] != "accept") continue;
    const auto verdict = judge(entry, {entry["cert_chain"][0]}, json::object());
    EXPECT_TRUE(verdict.verified()) << entry["file"] << "\n" << failures(verdict);
    ++seen;
  }
  EXPECT_EQ(seen, 10);
}

TEST_F(Vectors, AReportWithoutALeafParsesAndIsNotVerified) {
  const json entry{{"file", "reports/genoa_v2_parseonly_routex.bin"},
                   {"verify_time", "2026-01-15T00:00:00Z"},
                   {"product", "Genoa"}};
  const auto verdict = judge(entry, {}, json::object());
  EXPECT_FALSE(verdict.verified());
  EXPECT_FALSE(verdict.find("chain.leaf")->ok);
  EXPECT_EQ(verdict.claims()["policy"], "0x30000");
  EXPECT_EQ(verdict.claims()["current_version"], "1.55.21");
  EXPECT_EQ(verdict.claims()["reported_tcb"]["snp"], 14);
  EXPECT_TRUE(parse_report(load("reports/genoa_v2_parseonly_routex.bin")));
}

TEST_F(Vectors, AVcekThatAmdNeverSignedIsRefused) {
  const json entry{{"file", "reports/milan_v2_trustee.bin"},
                   {"verify_time", "2023-02-23T17:58:26Z"},
                   {"product", "Milan"}};
  const auto verdict =
      judge(entry, {"certs/vcek_invalid_hwid_raw.der", "certs/milan_ask.pem"}, json::object());
  EXPECT_FALSE(verdict.find("chain.leaf_signature")->ok);
  EXPECT_FALSE(verdict.find("chip_id.certificate")->ok);
  EXPECT_FALSE(verdict.find("report.signature")->ok);
}

}  // namespace
}  // namespace coffer::snp
