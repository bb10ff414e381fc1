#include "attestation/jose/jws.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "attestation/jose/jwk.h"

namespace coffer::jose {
namespace {

using Json = nlohmann::json;

PublicKey key_of(const Json& jwk) {
  auto key = parse_jwk(jwk);
  EXPECT_TRUE(key) << key.error().to_string();
  return std::move(key->key);
}

// RFC 7515 appendix A.3.
TEST(Jws, VerifiesTheEs256ExampleOfRfc7515) {
  const auto jws = parse_jws(
      "eyJhbGciOiJFUzI1NiJ9."
      "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVl"
      "fQ."
      "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q");
  ASSERT_TRUE(jws) << jws.error().to_string();
  EXPECT_EQ(jws->alg, "ES256");
  const auto verified =
      verify_jws(*jws, key_of({{"kty", "EC"},
                               {"crv", "P-256"},
                               {"x", "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"},
                               {"y", "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}}));
  EXPECT_TRUE(verified) << verified.error().to_string();
}

// RFC 8037 appendix A.4.
TEST(Jws, VerifiesTheEdDsaExampleOfRfc8037) {
  const auto jws = parse_jws(
      "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc."
      "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg");
  ASSERT_TRUE(jws) << jws.error().to_string();
  EXPECT_EQ(jws->payload, "Example of Ed25519 signing");
  EXPECT_TRUE(verify_jws(*jws, key_of({{"kty", "OKP"},
                                       {"crv", "Ed25519"},
                                       {"x", "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}})));
}

TEST(Jws, VerifiesWhatItSigned) {
  for (const auto type : {KeyType::kEcP256, KeyType::kEcP384, KeyType::kRsa, KeyType::kEd25519}) {
    const auto key = PrivateKey::generate(type);
    ASSERT_TRUE(key);
    const auto compact = sign_jws(*key, {{"typ", "JWT"}, {"kid", "k"}}, R"({"a":1})");
    ASSERT_TRUE(compact) << compact.error().to_string();
    auto jws = parse_jws(*compact);
    ASSERT_TRUE(jws) << jws.error().to_string();
    EXPECT_EQ(jws->alg, signature_algorithm(type));
    EXPECT_EQ(jws->typ, "JWT");
    EXPECT_EQ(jws->kid, "k");
    EXPECT_EQ(jws->payload, R"({"a":1})");
    EXPECT_TRUE(verify_jws(*jws, key->public_key()));

    const auto other = PrivateKey::generate(type);
    const auto refused = verify_jws(*jws, other->public_key());
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), Code::kUnauthenticated);
    jws->signature.back() ^= 1U;
    EXPECT_FALSE(verify_jws(*jws, key->public_key()));
    jws->signature.pop_back();
    EXPECT_FALSE(verify_jws(*jws, key->public_key()));
  }
}

// The header may not choose: "none", or HS256 keyed with the public key.
TEST(Jws, TakesTheAlgorithmFromTheKeyAndNotFromTheHeader) {
  const auto key = PrivateKey::generate(KeyType::kRsa);
  for (const char* alg : {"none", "HS256", "ES256", "PS256", "EdDSA", "rs256"}) {
    const std::string header = Json{{"alg", alg}}.dump();
    const auto jws = parse_jws(to_base64url(as_bytes(header)) + ".e30.AA");
    ASSERT_TRUE(jws);
    EXPECT_FALSE(verify_jws(*jws, key->public_key())) << alg;
  }
  const auto p521 = PrivateKey::generate(KeyType::kEcP521);
  EXPECT_FALSE(sign_jws(*p521, Json::object(), "x"));
}

TEST(Jws, RefusesWhatIsNoCompactForm) {
  for (const char* text : {"", ".", "..", "a.b", "e30.e30.", "eyJhbGciOiJFUzI1NiJ9.e30.AA.AA",
                           "eyJhbGciOiJFUzI1NiJ9=.e30.AA", "eyJhbGciOiJFUzI1NiJ9 .e30.AA",
                           "W10.e30.AA", "eyJhbGciOiJFUzI1NiIsImNyaXQiOltdfQ.e30.AA"}) {
    EXPECT_FALSE(parse_jws(text)) << text;
  }
  const auto large = parse_jws(std::string(101, 'A'), 100);
  ASSERT_FALSE(large);
  EXPECT_EQ(large.error().code(), Code::kResourceExhausted);
}

struct TimeCase {
  Json claims;
  std::int64_t now;
  bool good;
};

TEST(TokenTimes, AreCheckedWithLeeway) {
  const TimeCase cases[] = {
      {{{"exp", 1000}}, 1059, true},
      {{{"exp", 1000}}, 1060, false},
      {{{"exp", 1000.5}}, 1060, true},
      {{{"exp", 1000}, {"nbf", 900}}, 840, true},
      {{{"exp", 1000}, {"nbf", 900}}, 839, false},
      {{{"nbf", 900}}, 950, false},
      {{{"exp", "1000"}}, 0, false},
      {{{"exp", 1e300}}, 0, false},
      {Json::array(), 0, false},
  };
  for (const auto& test : cases) {
    EXPECT_EQ(check_token_times(test.claims, test.now).has_value(), test.good)
        << test.claims.dump() << " at " << test.now;
  }
  EXPECT_TRUE(check_token_times(Json::object(), 0, {.leeway_seconds = 0, .require_exp = false}));
  EXPECT_EQ(token_expiry({{"exp", 1000}}), 1000);
  EXPECT_EQ(token_expiry({{"exp", "x"}}), std::nullopt);
}

}  // namespace
}  // namespace coffer::jose
