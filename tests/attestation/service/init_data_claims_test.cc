// What an appraisal policy sees of a guest's init data.
#include "attestation/service/init_data_claims.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

namespace coffer::appraisal {
namespace {

using Json = nlohmann::json;

Json claims(const std::string& policy) {
  const auto out = init_data_claims(
      "version = \"0.1.0\"\nalgorithm = \"sha256\"\n[data]\n\"policy.rego\" = '''\n" + policy +
      "'''\n");
  EXPECT_TRUE(out) << out.error().to_string();
  return out ? *out : Json();
}

// The image of the first container of the claims; empty without any.
std::string image(const std::string& policy) {
  const Json all = claims(policy);
  const auto found = all.find("agent_policy_claims");
  if (found == all.end()) return "";
  return found->at("containers").at(0).at("image").get<std::string>();
}

TEST(InitDataClaims, AreThePolicysDataByItsRule) {
  EXPECT_EQ(
      image("package agent_policy\npolicy_data := {\"containers\": [{\"image\": \"good\"}]}\n"),
      "good");
  EXPECT_EQ(image("package agent_policy\nimport rego.v1\n"
                  "policy_data := {\"containers\": [{\"image\": x}]} if x := \"computed\"\n"),
            "computed");
}

// Guests may be CoCo's, whose agent reads it.
TEST(InitDataClaims, AreThoseOfAPolicyInRegoV0Too) {
  EXPECT_EQ(image("package agent_policy\nallowed { input.x == 1 }\n"
                  "policy_data := {\"containers\": [{\"image\": \"good\"}]}\n"),
            "good");
}

// A search of the text would take the first one.
TEST(InitDataClaims, ACommentOrAStringIsNotThePolicysData) {
  const std::string truth = "policy_data := {\"containers\": [{\"image\": \"evil\"}]}\n";
  const std::string lie = "policy_data := {\"containers\": [{\"image\": \"good\"}]}\n";
  EXPECT_EQ(image("package agent_policy\n# " + lie + truth), "evil");
  EXPECT_EQ(image("package agent_policy\nx := `" + lie + "`\n" + truth), "evil");
  EXPECT_EQ(image("package agent_policy\nmy_" + lie + truth), "evil");
  EXPECT_EQ(image("package other\n" + lie), "");
}

TEST(InitDataClaims, WhatIsNoPolicyOrHasNoObjectHasNone) {
  for (const char* policy :
       {"", "package agent_policy\n", "package agent_policy\npolicy_data := {\n",
        "package agent_policy\npolicy_data := [1]\n",
        "package agent_policy\npolicy_data := {\"a\": 1}\nx := nosuch(1)\n"}) {
    EXPECT_FALSE(claims(policy).contains("agent_policy_claims")) << policy;
  }
  EXPECT_FALSE(claims("package agent_policy\nimport rego.v1\n"
                      "policy_data := {\"n\": count([1 | some a in numbers.range(1, 9999); "
                      "some b in numbers.range(1, 9999); a == b])}\n")
                   .contains("agent_policy_claims"))
      << "evaluation is bounded";
}

}  // namespace
}  // namespace coffer::appraisal
