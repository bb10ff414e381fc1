#include "tee/tpm/hcl.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tee/tpm/verify.h"
#include "tests/tee/tdx/vectors.h"

namespace coffer::tpm {
namespace {

using tdx::vector_bytes;
using tdx::vector_json;
using tdx::vector_text;
using tdx::vectors_dir;
using ::testing::HasSubstr;
using Names = std::vector<std::string>;

constexpr std::string_view kRuntime = R"({"keys":[{"kid":"HCLAkPub","kty":"RSA","e":"AQAB","n":")";

void put(Bytes& out, std::uint32_t value) {
  for (unsigned i = 0; i < 4; ++i) out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

struct Spec {
  std::string runtime =
      std::string(kRuntime) + std::string(341, 'x') + "w" + R"("}],"user-data":"00ff"})";
  std::uint32_t version = 1;
  std::uint32_t type = 4;
  std::uint32_t hash = 1;
  std::uint32_t extra = 0;  // added to the outer size
};

Bytes make(const Spec& spec) {
  Bytes out = to_bytes("HCLA");
  out.resize(32 + 1184);
  const auto size = static_cast<std::uint32_t>(spec.runtime.size());
  for (const std::uint32_t value :
       {20 + size + spec.extra, spec.version, spec.type, spec.hash, size})
    put(out, value);
  const Bytes runtime = to_bytes(spec.runtime);
  out.insert(out.end(), runtime.begin(), runtime.end());
  return out;
}

TEST(Hcl, ReadsKeyDigestAndUserData) {
  const Spec spec;
  const Bytes bytes = make(spec);
  const auto report = parse_hcl(bytes);
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_EQ(report->hardware, HclHardware::kTdx);
  EXPECT_EQ(report->hardware_report.size(), 1024U);
  EXPECT_EQ(report->runtime_digest,
            eventlog::hash(eventlog::Alg::kSha256, as_bytes(spec.runtime)).value());
  EXPECT_EQ(to_hex(report->user_data), "00ff");
  EXPECT_TRUE(report->attestation_key.is_rsa());
  EXPECT_EQ(parse_hcl(make({.hash = 2}))->runtime_digest.size(), 48U);
}

TEST(Hcl, RefusesWhatLies) {
  struct Case {
    Spec spec;
    const char* error;
  };
  const std::string key = std::string(kRuntime) + std::string(341, 'x') + "w" + R"("})";
  const std::vector<Case> cases = {
      {{.version = 2}, "request version"},
      {{.type = 3}, "report type: got 3"},
      {{.hash = 0}, "hash type: got 0"},
      {{.extra = 1}, "runtime data: got sizes"},
      {{.runtime = "[]"}, "want an object"},
      {{.runtime = R"({"keys":[]})"}, "without HCLAkPub"},
      {{.runtime = R"({"keys":[{"kid":"HCLAkPub","kty":"EC"}]})"}, "want an RSA key"},
      {{.runtime = R"({"keys":[{"kid":"HCLAkPub","kty":"RSA","e":"AQAB"}]})"}, "without 'n'"},
      {{.runtime = key + "," + key.substr(9) + "]}"}, "stands twice"},
      {{.runtime = key + R"(],"user-data":1})"}, "user-data"},
  };
  for (const auto& test : cases) {
    const auto report = parse_hcl(make(test.spec));
    ASSERT_FALSE(report) << test.error;
    EXPECT_THAT(report.error().to_string(), HasSubstr(test.error));
  }
  const Bytes good = make({});
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(parse_hcl(BytesView(good).first(size))) << size;
  }
  Bytes longer = good;
  longer.push_back(0);
  EXPECT_TRUE(parse_hcl(longer)) << "the NV index is larger than its content";
  longer.push_back(1);
  EXPECT_FALSE(parse_hcl(longer));
}

Names failures(const tee::Verdict& verdict) {
  Names names;
  for (const auto& check : verdict.failed()) names.push_back(check.name);
  return names;
}

// The quote by the vTPM's key, the key by the digest that the hardware's report data holds.
TEST(TpmVectors, AzureQuotesVerifyWithTheKeyOfTheirHclReport) {
  COFFER_NEED_VECTORS();
  std::size_t checked = 0;
  for (const std::string part : {"tdx", "snp"}) {
    const auto index = vector_json("../" + part + "/INDEX.json");
    for (const auto& entry : index["files"]) {
      const std::string file = entry["file"];
      if (entry["kind"] != "tpm-quote" || !file.starts_with("azure-vtpm/")) continue;
      SCOPED_TRACE(file);
      const std::string prefix =
          "../" + part + "/" + file.substr(0, file.size() - std::string("tpm_attest.bin").size());
      const Bytes attest = vector_bytes(prefix + "tpm_attest.bin");
      const Bytes signature = vector_bytes(prefix + "tpm_sig.bin");
      const Bytes hcl = vector_bytes(prefix + "hcl_report.bin");
      const auto key = parse_attestation_key(hcl).value();
      for (const auto& other : index["files"]) {
        if (other["file"] != file.substr(0, file.size() - 14) + "hcl_report.bin") continue;
        EXPECT_EQ(to_hex(key.bound_digest.value()),
                  other["runtime_data_sha256"].get<std::string>());
      }
      Expectations want;
      want.nonce = from_hex(entry["parsed"]["extra"].get<std::string>()).value();
      want.hardware_report_data = key.bound_digest;
      want.hardware_report_data->resize(64);
      Evidence evidence{.attest = attest, .signature = signature, .pcrs = {}, .event_log = {}};
      const bool has_pcrs = std::filesystem::exists(vectors_dir() / (prefix + "pcrs.json"));
      if (has_pcrs) evidence.pcrs = parse_pcrs(vector_text(prefix + "pcrs.json")).value();
      EXPECT_EQ(failures(verify(evidence, key, want)), has_pcrs ? Names{} : Names{"pcr_digest"});
      want.hardware_report_data->at(0) ^= 1;
      auto names = failures(verify(evidence, key, want));
      EXPECT_EQ(names.front(), "ak.bound");
      want.hardware_report_data->at(0) ^= 1;
      want.hardware_report_data->at(63) ^= 1;
      EXPECT_EQ(failures(verify(evidence, key, want)).front(), "ak.bound");
      ++checked;
    }
  }
  EXPECT_EQ(checked, 4U);
}

TEST(TpmVectors, AKeyWithoutADigestIsBoundToNothing) {
  COFFER_NEED_VECTORS();
  const auto key = parse_attestation_key(vector_bytes("vtpm/plain_ak_spki.der")).value();
  Expectations want;
  want.hardware_report_data = Bytes(64);
  const auto verdict = verify({}, key, want);
  const auto* check = verdict.find("ak.bound");
  ASSERT_NE(check, nullptr);
  EXPECT_FALSE(check->ok);
}

}  // namespace
}  // namespace coffer::tpm
