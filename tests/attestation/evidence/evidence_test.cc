#include "attestation/evidence/evidence.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "attestation/evidence/fields.h"
#include "base/fd.h"
#include "base/json.h"
#include "tee/sev-snp/cert_table.h"
#include "tee/sev-snp/report.h"
#include "tee/tpm/key.h"

namespace coffer::evidence {
namespace {

using Json = nlohmann::json;
namespace fs = std::filesystem;

const fs::path kVectors = COFFER_VECTORS;

Bytes read_vector(const fs::path& path) {
  auto text = read_file(path);
  EXPECT_TRUE(text) << text.error().to_string();
  return text ? to_bytes(*text) : Bytes{};
}

// Every real report survives the field form, so that its signature does; but for those with bytes
// that the form has no place for, which is what raw_report is for.
TEST(SnpEvidence, KeepsEveryRealReport) {
  const fs::path folder = kVectors / "snp" / "reports";
  if (!fs::exists(folder)) GTEST_SKIP() << "no vectors: " << folder;
  int kept = 0;
  for (const auto& file : fs::directory_iterator(folder)) {
    const Bytes raw = read_vector(file.path());
    tee::Evidence evidence;
    evidence.tee = "snp";
    evidence.report = raw;
    auto json = make_snp(evidence);
    ASSERT_TRUE(json) << file.path() << json.error().to_string();
    EXPECT_EQ(parse_snp(*json)->report, raw) << file.path();
    json->erase("raw_report");
    const auto rebuilt = parse_snp(Json::parse(json->dump()));
    ASSERT_TRUE(rebuilt) << file.path() << rebuilt.error().to_string();
    if (rebuilt->report == raw) ++kept;
    const auto report = snp::decode_report(raw);
    const auto again = snp::encode_report(*report);
    EXPECT_EQ(rebuilt->report, Bytes(again.begin(), again.end())) << file.path();
  }
  EXPECT_GE(kept, 9);
}

tee::Evidence snp_with_certificates() {
  tee::Evidence evidence;
  evidence.tee = "snp";
  snp::Report report;
  report.version = 3;
  report.policy.raw = 0xFFFF'FFFF'FFFF'FFFFU;
  report.cpuid = {.family = 26, .model = 2, .stepping = 1};  // Turin: its TCB has an FMC
  report.reported_tcb = {1, 2, 3, 4, 0, 0, 0, 5};
  report.signature_r[71] = 9;
  const auto bytes = snp::encode_report(report);
  evidence.report.assign(bytes.begin(), bytes.end());
  evidence.auxiliary = snp::encode_cert_table(
      {{.kind = snp::CertKind::kVcek, .guid = snp::cert_guid(snp::CertKind::kVcek), .data = {1, 2}},
       {.kind = snp::CertKind::kOther, .guid = Bytes(16, 0xAB), .data = {3}}});
  return evidence;
}

TEST(SnpEvidence, CarriesTheCertificateTable) {
  const tee::Evidence evidence = snp_with_certificates();
  const auto json = make_snp(evidence);
  ASSERT_TRUE(json) << json.error().to_string();
  EXPECT_EQ((*json)["cert_chain"], Json::parse(R"([{"cert_type":"VCEK","data":[1,2]},
              {"cert_type":{"OTHER":"abababab-abab-abab-abab-abababababab"},"data":[3]}])"));
  EXPECT_EQ((*json)["attestation_report"]["reported_tcb"],
            Json::parse(R"({"fmc":1,"bootloader":2,"tee":3,"snp":4,"microcode":5})"));
  EXPECT_EQ((*json)["attestation_report"]["policy"].get<std::uint64_t>(), 0xFFFF'FFFF'FFFF'FFFFU);
  EXPECT_TRUE((*json)["attestation_report"]["launch_mit_vector"].is_null());
  Json fields = *json;
  fields.erase("raw_report");
  const auto read = parse_snp(fields);
  ASSERT_TRUE(read) << read.error().to_string();
  EXPECT_EQ(read->report, evidence.report);
  EXPECT_EQ(read->auxiliary, evidence.auxiliary);
}

// JsonLimits::lists_as_bytes, as the broker reads it.
TEST(SnpEvidence, IsReadFromBytesAsFromLists) {
  const tee::Evidence evidence = snp_with_certificates();
  auto json = *make_snp(evidence);
  json.erase("raw_report");
  const auto read = parse_json(json.dump(), "evidence", {.lists_as_bytes = true});
  ASSERT_TRUE(read && read->at("cert_chain")[0]["data"].is_binary());
  const auto again = parse_snp(*read);
  ASSERT_TRUE(again) << again.error().to_string();
  EXPECT_EQ(again->report, evidence.report);
  EXPECT_EQ(again->auxiliary, evidence.auxiliary);
  const auto refused = [](const Json& list) { return bytes_of_ints(list, 3).error().message(); };
  EXPECT_EQ(bytes_of_ints(Json::binary({1, 2, 3}), 3).value(), (Bytes{1, 2, 3}));
  EXPECT_EQ(refused(Json::binary({1, 2, 3, 4})), refused({1, 2, 3, 4}));
}

TEST(SnpEvidence, RefusesFieldsThatDoNotFit) {
  Json good = *make_snp(snp_with_certificates());
  good.erase("raw_report");
  const std::pair<const char*, Json> cases[] = {
      {"/attestation_report/policy", 1.0},
      {"/attestation_report/policy", -1},
      {"/attestation_report/version", 4294967296ULL},
      {"/attestation_report/measurement", Json::array({1})},
      {"/attestation_report/family_id/0", 256},
      {"/attestation_report/reported_tcb/snp", nullptr},
      {"/attestation_report/signature", "x"},
      {"/attestation_report", nullptr},
      {"/cert_chain", "x"},
      {"/cert_chain/0/cert_type", "ROOT"},
      {"/cert_chain/1/cert_type", Json{{"OTHER", "ab"}}},
      {"/raw_report", "AAAA"},
  };
  for (const auto& [pointer, value] : cases) {
    Json bad = good;
    bad[Json::json_pointer(pointer)] = value;
    EXPECT_FALSE(parse_snp(bad)) << pointer;
  }
  EXPECT_TRUE(parse_snp(good));
}

TEST(TdxEvidence, IsQuoteAndEventLog) {
  tee::Evidence evidence;
  evidence.tee = "tdx";
  evidence.report = {1, 2, 3};
  EXPECT_EQ(make_tdx(evidence).value(), Json::parse(R"({"cc_eventlog":null,"quote":"AQID"})"));
  evidence.manifest = {4};
  const auto json = make_tdx(evidence);
  ASSERT_TRUE(json);
  EXPECT_EQ(*json, Json::parse(R"({"cc_eventlog":"BA==","quote":"AQID"})"));
  const auto read = parse_tdx(*json);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->report, evidence.report);
  EXPECT_EQ(read->manifest, evidence.manifest);
  EXPECT_TRUE(parse_tdx(Json::parse(R"({"quote":"AQID"})"))->manifest.empty());
  EXPECT_FALSE(parse_tdx(Json::parse(R"({"quote":"AQI"})")));
  EXPECT_FALSE(parse_tdx(Json::parse(R"({"cc_eventlog":null})")));
  EXPECT_FALSE(parse_tdx("x"));
}

Json pcrs_of_hex() {
  Json out = Json::array();
  for (int pcr = 0; pcr < 24; ++pcr)
    out.push_back(std::string(62, '0') + (pcr < 10 ? "0" : "1") + "1");
  return out;
}

TEST(TpmEvidence, IsReadFromARealQuote) {
  const fs::path folder = kVectors / "tdx" / "vtpm";
  if (!fs::exists(folder)) GTEST_SKIP() << "no vectors: " << folder;
  const Bytes spki = read_vector(folder / "plain_ak_spki.der");
  const Bytes attest = read_vector(folder / "plain_tpm_attest.bin");
  const Bytes signature = read_vector(folder / "plain_tpm_sig_tpmt.bin");
  const Json json = {{"ak_public", to_base64(spki)},
                     {"tpm_quote",
                      {{"signature", to_base64(signature)},
                       {"message", to_base64(attest)},
                       {"pcrs", pcrs_of_hex()}}}};
  const auto read = parse_tpm(json);
  ASSERT_TRUE(read) << read.error().to_string();
  EXPECT_EQ(read->attest, attest);
  EXPECT_EQ(read->signature, signature);
  EXPECT_TRUE(tpm::parse_attestation_key(read->attestation_key));
  EXPECT_EQ(read->pcrs.at(eventlog::Alg::kSha256).size(), 24U);
  Json other = json;
  other["ak_tpm_public"] = "AAAA";
  EXPECT_FALSE(parse_tpm(other));
}

TEST(TpmEvidence, NeedsAllPcrs) {
  Json json = {
      {"ak_public", "AAAA"},
      {"tpm_quote", {{"signature", "AAAA"}, {"message", "AAAA"}, {"pcrs", pcrs_of_hex()}}}};
  EXPECT_TRUE(parse_tpm(json));
  json["tpm_quote"]["pcrs"].erase(23);
  EXPECT_FALSE(parse_tpm(json));
  json["tpm_quote"]["pcrs"].push_back("00");
  EXPECT_FALSE(parse_tpm(json));
  tee::Evidence evidence;
  evidence.tee = "tpm";
  evidence.auxiliary = to_bytes(R"({"ak_public":"","signature":"","pcrs":{"sha256":{"0":"00"}}})");
  const auto made = make_tpm(evidence);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code(), Code::kFailedPrecondition);
}

TEST(TpmEvidence, CarriesTheKeysCertificate) {
  Json json = {{"ak_public", "AAAA"},
               {"tpm_quote", {{"signature", "AAAA"}, {"message", "AAAA"}, {"pcrs", pcrs_of_hex()}}},
               {"ak_certificate", "BQY="}};
  EXPECT_EQ(parse_tpm(json)->ak_certificate, (Bytes{5, 6}));
  json["ak_certificate"] = 7;
  EXPECT_FALSE(parse_tpm(json));
}

TEST(AzureEvidence, IsReadInItsThreeVersions) {
  const Json hex_quote = {{"signature", "0102"}, {"message", "0304"}, {"pcrs", pcrs_of_hex()}};
  Json ints_quote = {{"signature", {1, 2}}, {"message", {3, 4}}, {"pcrs", Json::array()}};
  for (int pcr = 0; pcr < 24; ++pcr) ints_quote["pcrs"].push_back(ints_of(Bytes(32, 7)));

  const auto snp0 = parse_azure_snp({{"quote", ints_quote}, {"report", {5}}, {"vcek", "PEM"}});
  ASSERT_TRUE(snp0) << snp0.error().to_string();
  EXPECT_EQ(snp0->version, 0U);
  EXPECT_EQ(snp0->quote.attest, (Bytes{3, 4}));
  EXPECT_EQ(snp0->quote.pcrs.at(eventlog::Alg::kSha256).at(23), Bytes(32, 7));
  EXPECT_EQ(as_text(snp0->vcek), "PEM");

  for (unsigned version = 1; version <= 2; ++version) {
    const auto snp = parse_azure_snp(
        {{"version", version}, {"tpm_quote", hex_quote}, {"hcl_report", "BQ=="}, {"vcek", "_w=="}});
    ASSERT_TRUE(snp) << snp.error().to_string();
    EXPECT_EQ(snp->version, version);
    EXPECT_EQ(snp->quote.signature, (Bytes{1, 2}));
    EXPECT_EQ(snp->hcl_report, (Bytes{5}));
    EXPECT_EQ(snp->vcek, (Bytes{0xFF}));
  }
  EXPECT_FALSE(parse_azure_snp({{"version", 3U}, {"tpm_quote", hex_quote}, {"hcl_report", "BQ"}}));
  EXPECT_FALSE(parse_azure_snp({{"version", 0U}, {"quote", ints_quote}, {"report", {5}}}));

  const auto tdx0 =
      parse_azure_tdx({{"tpm_quote", ints_quote}, {"hcl_report", {5}}, {"td_quote", {6}}});
  ASSERT_TRUE(tdx0) << tdx0.error().to_string();
  EXPECT_EQ(tdx0->td_quote, (Bytes{6}));
  const auto tdx1 = parse_azure_tdx(
      {{"version", 1U}, {"tpm_quote", hex_quote}, {"hcl_report", "BQ"}, {"td_quote", "Bg"}});
  ASSERT_TRUE(tdx1) << tdx1.error().to_string();
  EXPECT_EQ(tdx1->td_quote, (Bytes{6}));
}

TEST(SampleEvidence, IsTrustees) {
  const Json json = make_sample(Bytes{1, 2, 3});
  EXPECT_EQ(json, Json::parse(R"({"svn":"1","report_data":"AQID"})"));
  EXPECT_EQ(parse_sample(json)->report_data, (Bytes{1, 2, 3}));
  EXPECT_FALSE(parse_sample(Json::parse(R"({"svn":1,"report_data":"AQID"})")));
}

}  // namespace
}  // namespace coffer::evidence
