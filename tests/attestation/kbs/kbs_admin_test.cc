// The administrator's side of a running coffer-kbs.

#include <gtest/gtest.h>

#include "attestation/jose/jwk.h"
#include "attestation/reference_values/corim.h"
#include "base/bytes.h"
#include "base/fd.h"
#include "tests/attestation/kbs/running_kbs.h"

namespace coffer {
namespace {

using testing::RunningKbs;

RunningKbs& kbs() {
  static const auto kInstance = RunningKbs::start();
  return *kInstance;
}

TEST(KbsAdmin, HealthMetricsAndKeysAreForEverybody) {
  EXPECT_EQ(kbs().anyone("GET", "/healthz").status, 200);
  const auto metrics = kbs().anyone("GET", "/metrics");
  EXPECT_NE(metrics.body.find("kbs_http_requests_total"), std::string::npos);
  EXPECT_EQ(kbs().anyone("POST", "/metrics", "x").status, 405);
  const auto jwks = kbs().anyone("GET", "/.well-known/jwks.json").json();
  EXPECT_EQ(jwks["keys"][0]["alg"], "ES256");
  EXPECT_FALSE(jwks["keys"][0].contains("d"));
}

TEST(KbsAdmin, WithoutTheAdministratorsTokenNothingIsChanged) {
  for (const auto* path :
       {"/kbs/v0/resource/a/b/c", "/kbs/v0/resource-policy", "/kbs/v0/attestation-policy",
        "/kbs/v0/reference-value", "/kbs/v0/reference-values/delete"}) {
    const auto reply = kbs().anyone("POST", path, "{}");
    EXPECT_EQ(reply.status, 401) << path;
    EXPECT_EQ(reply.json()["type"],
              "https://github.com/confidential-containers/kbs/errors/AdminAuthAccess");
  }
  EXPECT_EQ(kbs().anyone("GET", "/kbs/v0/attestations").status, 401);
  EXPECT_EQ(kbs().anyone("DELETE", "/kbs/v0/resource/a/b/c").status, 401);
}

TEST(KbsAdmin, ResourcesAreWrittenAndDeleted) {
  EXPECT_EQ(kbs().admin("POST", "/kbs/v0/resource/default/key/1", "secret").status, 200);
  EXPECT_EQ(kbs().admin("DELETE", "/kbs/v0/resource/default/key/1").status, 200);
  EXPECT_EQ(kbs().admin("DELETE", "/kbs/v0/resource/default/key/1").status, 404);
  for (const auto* path : {"a", "a/b", "a/b/c/d", "a//c", ".a/b/c", "a/b/c%2f"}) {
    EXPECT_EQ(kbs().admin("POST", std::string("/kbs/v0/resource/") + path, "x").status, 404)
        << path;
  }
  EXPECT_EQ(kbs().admin("POST", "/kbs/v0/nonsense", "x").status, 404);
}

TEST(KbsAdmin, APolicyThatDoesNotCompileIsRefused) {
  const auto bad = kbs().set_resource_policy("package policy\nallow if nonsense(1)");
  EXPECT_EQ(bad.status, 400);
  EXPECT_NE(bad.body.find("undefined function nonsense"), std::string::npos) << bad.body;
  const std::string good = "package policy\nimport rego.v1\ndefault allow := false\n";
  EXPECT_EQ(kbs().set_resource_policy(good).status, 200);
  EXPECT_EQ(kbs().admin("GET", "/kbs/v0/resource-policy").body, R"(["resource-policy"])");
  EXPECT_EQ(kbs().admin("GET", "/kbs/v0/resource-policy/resource-policy").body, good);
  const nlohmann::json policy = {
      {"type", "rego"}, {"policy_id", "mine"}, {"policy", to_base64url(as_bytes(good))}};
  EXPECT_EQ(kbs().admin("POST", "/kbs/v0/attestation-policy", policy.dump()).status, 200);
  EXPECT_EQ(kbs().admin("GET", "/kbs/v0/attestation-policy").body, R"(["default_cpu","mine_cpu"])");
}

TEST(KbsAdmin, ReferenceValuesHaveRevisions) {
  const auto set = [&](const std::string& body) {
    return kbs().admin("POST", "/kbs/v0/reference-value", body);
  };
  const auto first = set(R"({"a": [1, 2]})").json()["revision"].get<int>();
  EXPECT_EQ(set(R"([{"name": "b/c", "value": "x", "expiration": "2099-01-01T00:00:00Z"}])").status,
            200);
  EXPECT_EQ(kbs().admin("GET", "/kbs/v0/reference-value/b/c").body, "\"x\"");
  EXPECT_EQ(kbs().admin("GET", "/kbs/v0/reference-value/none").status, 404);
  const auto all = kbs().admin("GET", "/kbs/v0/reference-values").json();
  ASSERT_EQ(all["values"].size(), 2U);
  EXPECT_EQ(all["values"][0]["provenance"]["registrar"], "tester");
  EXPECT_EQ(kbs().admin("POST", "/kbs/v0/reference-values/expire", R"({"names": ["b/c"]})").status,
            200);
  EXPECT_EQ(kbs().admin("GET", "/kbs/v0/reference-value/b/c").status, 404);
  const auto diff =
      kbs().admin("GET", "/kbs/v0/reference-values/diff?from=" + std::to_string(first)).json();
  EXPECT_EQ(diff["added"], nlohmann::json::array({"b/c"}));
  const nlohmann::json back = {{"revision", first}};
  EXPECT_EQ(kbs().admin("POST", "/kbs/v0/reference-values/rollback", back.dump()).status, 200);
  EXPECT_EQ(kbs().admin("GET", "/kbs/v0/reference-values").json()["values"].size(), 1U);
  EXPECT_GE(kbs().admin("GET", "/kbs/v0/reference-values/history").json().size(), 4U);
  EXPECT_EQ(set("{\"a\": null}").status, 400);
}

TEST(KbsAdmin, ASignedCorimIsTakenOnItsSignersWord) {
  const auto key = *jose::PrivateKey::generate(jose::KeyType::kEcP384);
  const auto other = *jose::PrivateKey::generate(jose::KeyType::kEcP384);
  const std::string file = ::testing::TempDir() + "/coffer-kbs-test-vendor.pem";
  ASSERT_TRUE(write_file(file, *key.public_key().to_pem()));
  const auto mine = RunningKbs::start("[reference_values]\ntrusted_keys = [\"" + file +
                                      "\"]\nrequire_signature = true\n");
  const auto corim = [&](const jose::PrivateKey* by) {
    const auto now = static_cast<tee::UnixTime>(::time(nullptr));
    const auto bytes = rv::write_corim(
        {{"mr_td", {"00ff"}}},
        {.id = "image", .not_before = now - 10, .not_after = now + 1000, .signer = "vendor"}, by);
    return mine->admin("POST", "/kbs/v0/reference-value", std::string(as_text(*bytes)));
  };
  EXPECT_EQ(corim(nullptr).status, 401);
  EXPECT_EQ(corim(&other).status, 401);
  EXPECT_EQ(mine->admin("POST", "/kbs/v0/reference-value", R"({"a": 1})").status, 401);
  const auto taken = corim(&key);
  ASSERT_EQ(taken.status, 200) << taken.body;
  const auto all = mine->admin("GET", "/kbs/v0/reference-values").json();
  ASSERT_EQ(all["values"].size(), 1U);
  EXPECT_EQ(all["values"][0]["value"], nlohmann::json::array({"00ff"}));
  EXPECT_EQ(all["values"][0]["provenance"]["signer"], *jose::jwk_thumbprint(key.public_key()));
}

TEST(KbsAdmin, WhatWasAcknowledgedSurvivesKill9) {
  const auto mine = RunningKbs::start();
  ASSERT_EQ(mine->admin("POST", "/kbs/v0/reference-value", R"({"kept": 1})").status, 200);
  const auto keys = mine->anyone("GET", "/.well-known/jwks.json").body;
  mine->restart();
  EXPECT_EQ(mine->admin("GET", "/kbs/v0/reference-value/kept").body, "1");
  EXPECT_EQ(mine->anyone("GET", "/.well-known/jwks.json").body, keys) << "the signing key stays";
}

TEST(KbsAdmin, ABodyOverTheLimitIsRefused) {
  const auto mine = RunningKbs::start();
  const auto reply = mine->admin("POST", "/kbs/v0/resource/a/b/c", std::string(9U << 20U, 'x'));
  EXPECT_EQ(reply.status, 413);
}

}  // namespace
}  // namespace coffer
