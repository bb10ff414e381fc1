// Every TDX vector gives the verdict and the values that its index records.
#include "tests/tee/tdx/vectors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "tee/tdx/quote.h"
#include "tee/tdx/verify.h"

namespace coffer::tdx {
namespace {

tee::UnixTime time_of(const nlohmann::json& text) {
  return tee::parse_rfc3339(text.get<std::string>()).value();
}

// A verdict of a case, accepting every status when `any_status`.
tee::Verdict judge(const nlohmann::json& test, const TrustAnchors& anchors, bool any_status) {
  const Bytes quote = vector_bytes(test["quote"]);
  const auto collateral = CollateralSet::prepare(vector_collateral(test["collateral"]), anchors);
  Expectations want;
  if (any_status) want.accepted_statuses = parse_accepted_statuses("any").value();
  if (test.contains("policy")) {
    const auto status = apply_policy(test["policy"].dump(), want);
    EXPECT_TRUE(status) << status.error().to_string();
  }
  return verify({.quote = quote, .event_log = {}}, collateral, want, time_of(test["verify_time"]));
}

// "accept" holds by default; "accept-with-status" only when the status is accepted.
void expect_verdict(const nlohmann::json& test, const std::string& want,
                    const TrustAnchors& anchors) {
  SCOPED_TRACE(test["id"].get<std::string>());
  const tee::Verdict plain = judge(test, anchors, false);
  const tee::Verdict any = judge(test, anchors, true);
  EXPECT_EQ(plain.verified(), want == "accept") << plain.to_table();
  EXPECT_EQ(any.verified(), want != "reject") << any.to_table();
  EXPECT_FALSE(plain.emulated());
  if (want == "accept-with-status") {
    ASSERT_EQ(plain.failed().size(), 1U) << plain.to_table();
    EXPECT_EQ(plain.failed().front().name, "tcb.status");
  }
}

TEST(TdxVectors, RealQuotesWithCollateralGiveTheirVerdictAndStatus) {
  COFFER_NEED_VECTORS();
  const auto cases = vector_json("tests.json")["cases"];
  ASSERT_FALSE(cases.empty());
  for (const auto& test : cases) {
    expect_verdict(test, test["expected_verdict"], TrustAnchors());
    if (test["platform_status"].is_null() || test["id"] == "real-sgx-quote-refused") continue;
    SCOPED_TRACE(test["id"].get<std::string>());
    const auto claims = judge(test, TrustAnchors(), false).claims();
    EXPECT_EQ(claims["tcb_status"], test["expected_status"]);
    EXPECT_EQ(claims["platform_tcb_status"], test["platform_status"]);
    EXPECT_EQ(claims["module_tcb_status"], test["module_status"]);
    EXPECT_EQ(claims["qe_tcb_status"], test["qe_status"]);
    EXPECT_EQ(claims["platform_tcb_date"], test["platform_tcb_date"]);
    EXPECT_EQ(claims["advisory_ids"], test["advisories"]);
  }
}

TEST(TdxVectors, SyntheticCasesGiveTheirVerdictAndStatus) {
  COFFER_NEED_VECTORS();
  const auto cases = vector_json("synthetic/cases.json")["cases"];
  ASSERT_FALSE(cases.empty());
  for (const auto& test : cases) {
    const TrustAnchors anchors = vector_anchors(test["trusted_root"]);
    expect_verdict(test, test["expect"], anchors);
    if (!test.contains("expected_status")) continue;
    SCOPED_TRACE(test["id"].get<std::string>());
    EXPECT_EQ(judge(test, anchors, false).claims()["tcb_status"], test["expected_status"]);
  }
}

// Which check a refusal must name, so that it is refused for its reason and no other.
TEST(TdxVectors, RefusalsNameTheCheckOfTheirReason) {
  COFFER_NEED_VECTORS();
  const std::map<std::string, std::vector<std::string>> reasons = {
      {"st_revoked", {"tcb.status"}},
      {"st_no_level", {"tcb.platform_level", "tcb.status"}},
      {"st_module_revoked", {"tcb.status"}},
      {"st_module_missing_identity", {"tcb.module_identity", "tcb.status"}},
      {"st_qe_revoked", {"tcb.status"}},
      {"neg_td_debug", {"td.debug"}},
      {"neg_td_tud_reserved", {"td.tud"}},
      {"neg_td_migratable", {"td.migratable"}},
      {"neg_td_attr_reserved", {"td.reserved_attributes"}},
      {"neg_td_servtd", {"td.mr_service_td"}},
      {"neg_xfam_fixed1", {"td.xfam_fixed"}},
      {"neg_seam_attr", {"tcb.module_attributes"}},
      {"neg_report_data", {"expect.report_data"}},
      {"neg_mrconfigid", {"expect.mr_config_id"}},
      {"neg_version3", {"quote.format"}},
      {"neg_att_key_type3", {"quote.format"}},
      {"neg_tee_type0", {"quote.format"}},
      {"neg_v5_body_type4", {"quote.format"}},
      {"neg_v5_size_small", {"quote.format"}},
      {"neg_v5_type2_size648", {"quote.format"}},
      {"neg_siglen_huge", {"quote.format"}},
      {"neg_authlen_huge", {"quote.format"}},
      {"neg_certlen_huge", {"quote.format"}},
      {"neg_outer_type5", {"quote.format"}},
      {"neg_inner_type1", {"quote.format"}},
      {"neg_inner_type3", {"quote.format"}},
      {"neg_inner_type4", {"quote.format"}},
      {"neg_truncated", {"quote.format"}},
      {"neg_empty", {"quote.format"}},
      {"neg_flip_mrtd", {"quote.signature"}},
      {"neg_flip_header_userdata", {"quote.signature"}},
      {"neg_flip_v5_desc", {"quote.signature"}},
      {"neg_sig_zero", {"quote.signature"}},
      {"neg_ak_swapped", {"qe.report_data"}},
      {"neg_qe_rd_tail", {"qe.report_data"}},
      {"neg_auth_changed", {"qe.report_data"}},
      {"neg_qe_mrsigner", {"qe.mr_signer"}},
      {"neg_qe_debug", {"qe.attributes"}},
      {"neg_qe_misc", {"qe.misc_select"}},
      {"neg_qeid_version1", {"qe_identity.kind"}},
      {"neg_qeid_expired", {"qe_identity.fresh"}},
      {"neg_qeid_sig", {"qe_identity.signature"}},
      {"neg_qeid_unsigned_swap", {"qe_identity.signature"}},
      {"neg_tcb_future", {"tcb_info.fresh"}},
      {"neg_tcb_sig", {"tcb_info.signature"}},
      {"neg_tcb_reserialised", {"tcb_info.signature"}},
      {"neg_tcb_dup_key", {"tcb_info.format"}},
      {"neg_tcb_pceid", {"tcb_info.pce_id", "tcb.platform_level", "tcb.qe_level", "tcb.status"}},
      {"neg_tcb_id_sgx", {"tcb_info.format"}},
      {"neg_tcb_svn_range", {"tcb_info.format"}},
      {"neg_tcb_15_components", {"tcb_info.format"}},
      {"neg_tcb_empty_levels", {"tcb_info.format"}},
      {"neg_tcb_eval_rollback", {"tcb_info.evaluation_number", "qe_identity.evaluation_number"}},
      {"neg_tcb_signer_is_ca",
       {"tcb_signing_chain.names", "tcb_signing_chain.ca", "qe_identity.signature"}},
      {"neg_tcb_signer_expired", {"tcb_signing_chain.validity"}},
      {"neg_pck_revoked", {"pck.not_revoked"}},
      {"neg_intermediate_revoked", {"pck_chain.ca_not_revoked"}},
      {"neg_root_crl_expired", {"root_crl.fresh"}},
      {"neg_pck_crl_wrong_issuer", {"pck_crl.issuer", "pck_crl.signature"}},
      {"neg_pck_expired", {"pck_chain.validity"}},
      {"neg_pck_not_yet", {"pck_chain.validity"}},
      {"neg_pck_wrong_cn", {"pck_chain.names"}},
      {"neg_pck_der_chain", {"pck_chain.format"}},
      {"neg_pck_is_tcb_signer",
       {"pck_chain.names", "pck.sgx_extension", "pck_crl.issuer", "pck_crl.signature"}},
      {"neg_chain_reversed",
       {"pck_chain.root", "pck_chain.names", "pck_chain.ca", "pck_chain.signatures",
        "pck.sgx_extension", "qe.report_signature"}},
      {"neg_chain_foreign_root", {"pck_chain.root", "tcb_signing_chain.root"}},
      {"neg_pck_signed_by_leaf", {"pck_chain.length"}},
  };
  std::size_t checked = 0;
  const auto cases = vector_json("synthetic/cases.json")["cases"];
  for (const auto& test : cases) {
    const auto reason = reasons.find(test["id"].get<std::string>());
    if (reason == reasons.end()) {
      EXPECT_NE(test["expect"], "reject") << test["id"] << ": no reason recorded for it";
      continue;
    }
    ++checked;
    std::vector<std::string> names;
    for (const auto& check : judge(test, vector_anchors(test["trusted_root"]), false).failed()) {
      names.push_back(check.name);
    }
    EXPECT_THAT(names, ::testing::UnorderedElementsAreArray(reason->second)) << reason->first;
  }
  EXPECT_EQ(checked, reasons.size());
}

TEST(TdxVectors, QuotesParseToTheirRecordedFields) {
  COFFER_NEED_VECTORS();
  for (const auto& entry : index_entries("quote")) {
    SCOPED_TRACE(entry["file"].get<std::string>());
    const Bytes bytes = vector_bytes(entry["file"]);
    const auto quote = parse_quote(bytes);
    if (entry["quote_version"] == 3) {
      EXPECT_FALSE(quote);
      continue;
    }
    ASSERT_TRUE(quote) << quote.error().to_string();
    const auto collateral = CollateralSet::prepare({}, TrustAnchors());
    const auto claims = verify({.quote = bytes, .event_log = {}}, collateral, {}, 0).claims();
    EXPECT_EQ(claims["quote_version"], entry["quote_version"]);
    EXPECT_EQ(claims["body_type"], entry["body"]);
    EXPECT_EQ(claims["tee_type"], entry["tee_type"]);
    EXPECT_EQ(claims["signed_size"], entry["signed_length"]);
    EXPECT_EQ(claims["trailing_bytes"], entry["trailing_bytes"]);
    EXPECT_EQ(claims["qe_auth_data_size"], entry["qe_auth_len"]);
    EXPECT_EQ(claims["qe_isv_svn"], entry["qe_isvsvn"]);
    EXPECT_EQ(claims["fmspc"], entry["fmspc"]);
    EXPECT_EQ(claims["td_attribute_bits"], entry["td_attribute_bits"]);
    EXPECT_EQ(claims["xfam_bits"], entry["xfam_bits"]);
    // Our names hold an underscore where the index has none.
    const std::map<std::string, std::string> names = {{"mrseam", "mr_seam"},
                                                      {"mrsignerseam", "mr_signer_seam"},
                                                      {"mrtd", "mr_td"},
                                                      {"mrconfigid", "mr_config_id"},
                                                      {"mrowner", "mr_owner"},
                                                      {"mrownerconfig", "mr_owner_config"},
                                                      {"rtmr0", "rtmr_0"},
                                                      {"rtmr1", "rtmr_1"},
                                                      {"rtmr2", "rtmr_2"},
                                                      {"rtmr3", "rtmr_3"},
                                                      {"tee_tcb_svn2", "tee_tcb_svn_2"},
                                                      {"mrservicetd", "mr_service_td"}};
    for (const auto& [key, value] : entry["expected"].items()) {
      const auto name = names.find(key);
      EXPECT_EQ(claims[name == names.end() ? key : name->second], value) << key;
    }
  }
}

TEST(TdxVectors, IntelSampleUnderItsOwnRootIsRefused) {
  COFFER_NEED_VECTORS();
  const std::string dir = "collateral/qvl_testroot/";
  CollateralInput input{.tcb_info = vector_text(dir + "tcbInfo.json"),
                        .qe_identity = vector_text(dir + "qeIdentity.json"),
                        .tcb_signing_chain = vector_bytes(dir + "tcbSignChain.pem"),
                        .root_ca_crl = vector_bytes(dir + "rootCaCrl.der"),
                        .pck_crl = vector_bytes(dir + "intermediateCaCrl.der"),
                        .pck_crl_issuer_chain = {}};
  const auto collateral = CollateralSet::prepare(std::move(input), TrustAnchors());
  const Bytes quote = vector_bytes("quotes/v4_qvl_testroot.dat");
  const auto verdict = verify({.quote = quote, .event_log = {}}, collateral, {}, 1'700'000'000);
  EXPECT_FALSE(verdict.verified());
  for (const char* name : {"tcb_info.format", "tcb_signing_chain.root", "pck_chain.format"}) {
    const auto* check = verdict.find(name);
    ASSERT_NE(check, nullptr) << name;
    EXPECT_FALSE(check->ok) << name;
  }
}

}  // namespace
}  // namespace coffer::tdx
