#include "attestation/jose/jwk.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace coffer::jose {
namespace {

using Json = nlohmann::json;

// RFC 7515 appendix A.3.
const Json& rfc_ec_key() {
  static const Json key = {{"kty", "EC"},
                           {"crv", "P-256"},
                           {"x", "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"},
                           {"y", "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}};
  return key;
}

TEST(Jwk, ReadsWhatItWrites) {
  for (const auto type :
       {KeyType::kEcP256, KeyType::kEcP384, KeyType::kEcP521, KeyType::kRsa, KeyType::kEd25519}) {
    const auto key = PrivateKey::generate(type);
    ASSERT_TRUE(key) << key.error().to_string();
    const auto jwk = to_jwk(key->public_key());
    ASSERT_TRUE(jwk) << jwk.error().to_string();
    const auto read = parse_jwk(*jwk);
    ASSERT_TRUE(read) << read.error().to_string();
    EXPECT_TRUE(read->key == key->public_key()) << key_type_name(type);
  }
}

TEST(Jwk, PassesOverMembersItDoesNotKnowAndKeepsThoseItDoes) {
  Json jwk = rfc_ec_key();
  jwk["kid"] = "one";
  jwk["alg"] = "ES256";
  jwk["use"] = "sig";
  jwk["x5c"] = {"AQID"};
  const auto read = parse_jwk(jwk);
  ASSERT_TRUE(read) << read.error().to_string();
  EXPECT_EQ(read->kid, "one");
  EXPECT_EQ(read->alg, "ES256");
  ASSERT_EQ(read->x5c.size(), 1U);
  EXPECT_EQ(read->x5c[0], (Bytes{1, 2, 3}));
}

TEST(Jwk, ThumbprintIsRfc8037sExample) {
  const auto key = parse_jwk(
      {{"kty", "OKP"}, {"crv", "Ed25519"}, {"x", "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}});
  ASSERT_TRUE(key) << key.error().to_string();
  EXPECT_EQ(jwk_thumbprint(key->key).value(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}

struct RefusedKey {
  const char* json;
  const char* why;
};

TEST(Jwk, RefusesKeysThatAreNone) {
  const RefusedKey cases[] = {
      {"[]", "no object"},
      {R"({"kty":"oct","k":"AA"})", "got 'oct'"},
      {R"({"kty":"AKP","pub":"AA"})", "ML-KEM"},
      {R"({"kty":"EC","crv":"P-256","x":"AA"})", "no member 'y'"},
      {R"({"kty":"EC","crv":"secp256k1","x":"AA","y":"AA"})", "got 'secp256k1'"},
      {R"({"kty":"EC","crv":"P-256","x":"AA","y":"AA"})", "want 32 each"},
      {R"({"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
          "y":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"})",
       "not on the curve"},
      {R"({"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU=",
          "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"})",
       "member 'x'"},
      {R"({"kty":"RSA","n":"AQAB","e":"AQAB"})", "RSA of 17 bits"},
      {R"({"kty":"RSA","n":"","e":"AQAB"})", "modulus"},
      {R"({"kty":"RSA","n":"AQAB","e":"AQ"})", "exponent"},
      {R"({"kty":"EC","kty":"EC"})", "stands twice"},
  };
  for (const auto& test : cases) {
    const auto read = parse_jwk_text(test.json);
    ASSERT_FALSE(read) << test.json;
    EXPECT_NE(read.error().to_string().find(test.why), std::string::npos)
        << test.json << ": " << read.error().to_string();
  }
}

TEST(TeePubkey, HasJustTheMembersThatTheBrokerKnows) {
  const auto key = parse_jwk(rfc_ec_key());
  ASSERT_TRUE(key);
  const auto jwk = to_tee_pubkey(key->key);
  ASSERT_TRUE(jwk);
  Json want = rfc_ec_key();
  want["alg"] = "ECDH-ES+A256KW";
  EXPECT_EQ(*jwk, want);
  EXPECT_TRUE(parse_tee_pubkey(*jwk));

  Json extra = want;
  extra["kid"] = "x";
  EXPECT_FALSE(parse_tee_pubkey(extra));
  Json other = want;
  other["alg"] = "ECDH-ES";
  EXPECT_FALSE(parse_tee_pubkey(other));
  other["alg"] = "RSA1_5";
  EXPECT_FALSE(parse_tee_pubkey(other));
}

TEST(TeePubkey, IsNeverOnP384) {
  const auto key = PrivateKey::generate(KeyType::kEcP384);
  ASSERT_TRUE(key);
  EXPECT_FALSE(to_tee_pubkey(key->public_key()));
  const auto rsa = PrivateKey::generate(KeyType::kRsa);
  const auto jwk = to_tee_pubkey(rsa->public_key());
  ASSERT_TRUE(jwk);
  EXPECT_EQ((*jwk)["alg"], "RSA-OAEP-256");
  EXPECT_TRUE(parse_tee_pubkey(*jwk));
}

TEST(PrivateKey, SurvivesItsPemForm) {
  for (const auto type : {KeyType::kEcP256, KeyType::kEcP521, KeyType::kRsa, KeyType::kEd25519}) {
    const auto key = PrivateKey::generate(type);
    ASSERT_TRUE(key);
    const auto pem = key->to_pem();
    ASSERT_TRUE(pem) << pem.error().to_string();
    EXPECT_TRUE(pem->starts_with(type == KeyType::kRsa ? "-----BEGIN RSA PRIVATE KEY-----"
                                                       : "-----BEGIN PRIVATE KEY-----"));
    const auto read = PrivateKey::from_pem(*pem);
    ASSERT_TRUE(read) << read.error().to_string();
    EXPECT_TRUE(read->public_key() == key->public_key());
    const auto public_pem = key->public_key().to_pem();
    ASSERT_TRUE(public_pem);
    EXPECT_TRUE(PublicKey::from_pem(*public_pem).value() == key->public_key());
  }
  EXPECT_FALSE(PrivateKey::from_pem("hello"));
}

TEST(PrivateKey, RefusesAScalarOfAnotherPoint) {
  // RFC 7518 appendix C, Bob.
  Json bob = {{"kty", "EC"},
              {"crv", "P-256"},
              {"x", "weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ"},
              {"y", "e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck"},
              {"d", "VEmDZpDXXK8p8N0Cndsxs924q6nS1RXFASRl6BfUqdw"}};
  EXPECT_TRUE(parse_private_jwk(bob));
  bob["d"] = "0_NxaRPUMQoAJt50Gz8YiTr8gRTwyEaCumd-MToTmIo";
  EXPECT_FALSE(parse_private_jwk(bob));
}

}  // namespace
}  // namespace coffer::jose
