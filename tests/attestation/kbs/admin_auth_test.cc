#include "attestation/kbs/admin_auth.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "attestation/jose/jws.h"

namespace coffer::kbs {
namespace {

using Json = nlohmann::json;
constexpr std::int64_t kNow = 1'800'000'000;

jose::PrivateKey key(jose::KeyType type = jose::KeyType::kEd25519) {
  return *jose::PrivateKey::generate(type);
}

TEST(AdminAuth, TakesATokenOfAConfiguredKey) {
  for (const auto type : {jose::KeyType::kEd25519, jose::KeyType::kEcP256}) {
    const auto mine = key(type);
    const AdminAuth auth({key().public_key(), mine.public_key()});
    const auto name = auth.check(*make_admin_token(mine, "alice", kNow), kNow);
    ASSERT_TRUE(name) << name.error().to_string();
    EXPECT_EQ(*name, "alice");
  }
}

TEST(AdminAuth, RefusesWithTheCause) {
  const auto mine = key();
  const AdminAuth auth({mine.public_key()});
  const auto sign = [&](const Json& claims) {
    return *jose::sign_jws(mine, {{"typ", "JWT"}}, claims.dump());
  };
  struct Case {
    std::string token;
    std::string_view want;
  };
  const Json aud = {"KBS"};
  const Case cases[] = {
      {"", "no 'Authorization: Bearer'"},
      {"a.b", "admin"},
      {*make_admin_token(key(), "eve", kNow), "no key of admin.public_keys"},
      {*make_admin_token(mine, "alice", kNow - 1000), "expired"},
      {sign({{"aud", aud}, {"role", "admin"}}), "exp"},
      {sign({{"aud", "other"}, {"role", "admin"}, {"exp", kNow + 60}}), "'aud'"},
      {sign({{"aud", aud}, {"role", "guest"}, {"exp", kNow + 60}}), "'role'"},
      {sign({{"aud", aud}, {"exp", kNow + 60}}), "'role'"},
      {sign(Json::array()), "no object"},
  };
  for (const Case& c : cases) {
    const auto got = auth.check(c.token, kNow);
    ASSERT_FALSE(got) << c.want;
    EXPECT_EQ(got.error().code(), Code::kUnauthenticated);
    EXPECT_NE(got.error().to_string().find(c.want), std::string::npos) << got.error().to_string();
  }
}

TEST(AdminAuth, WithoutKeysNobodyAdministers) {
  const auto got = AdminAuth({}).check(*make_admin_token(key(), "eve", kNow), kNow);
  ASSERT_FALSE(got);
  EXPECT_NE(got.error().message().find("admin.public_keys"), std::string::npos);
}

}  // namespace
}  // namespace coffer::kbs
