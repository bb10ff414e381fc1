#include "attestation/jose/jwe.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "attestation/jose/jwk.h"
#include "attestation/jose/key_wrap.h"

namespace coffer::jose {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kSecret = "a secret, neither short nor long";

PrivateKey make_key(KeyType type) {
  auto key = PrivateKey::generate(type);
  EXPECT_TRUE(key);
  return *std::move(key);
}

std::string header_of(const Jwe& jwe) {
  return std::string(as_text(from_base64url(jwe.protected_header).value()));
}

TEST(Jwe, OpensWhatItSealed) {
  for (const auto type : {KeyType::kEcP256, KeyType::kEcP521, KeyType::kRsa}) {
    const PrivateKey key = make_key(type);
    for (const std::string_view secret : {kSecret, std::string_view()}) {
      const auto jwe = encrypt_jwe(key.public_key(), as_bytes(secret));
      ASSERT_TRUE(jwe) << jwe.error().to_string();
      const auto read = parse_jwe(serialise_jwe(*jwe));
      ASSERT_TRUE(read) << read.error().to_string();
      const auto plain = decrypt_jwe(key, *read);
      ASSERT_TRUE(plain) << key_type_name(type) << ": " << plain.error().to_string();
      EXPECT_EQ(as_text(plain->view()), secret);
    }
  }
}

TEST(Jwe, WritesTheHeaderInTheOrderThatOfficialClientsRewriteItIn) {
  const PrivateKey key = make_key(KeyType::kEcP521);
  const auto jwe = encrypt_jwe(key.public_key(), as_bytes(kSecret));
  ASSERT_TRUE(jwe);
  const std::string header = header_of(*jwe);
  const Json parsed = Json::parse(header);
  EXPECT_EQ(header,
            R"({"alg":"ECDH-ES+A256KW","enc":"A256GCM","epk":{"crv":"P-521","kty":"EC","x":")" +
                parsed["epk"]["x"].get<std::string>() + R"(","y":")" +
                parsed["epk"]["y"].get<std::string>() + R"("}})");
  EXPECT_EQ(parsed["epk"]["x"].get<std::string>().size(), 88U);

  const auto rsa = encrypt_jwe(make_key(KeyType::kRsa).public_key(), as_bytes(kSecret));
  ASSERT_TRUE(rsa);
  EXPECT_EQ(header_of(*rsa), R"({"alg":"RSA-OAEP-256","enc":"A256GCM"})");
}

// Another server may order its header as it likes: what was received is what is authenticated.
TEST(Jwe, AuthenticatesTheHeadersReceivedBytes) {
  const PrivateKey key = make_key(KeyType::kEcP256);
  const PrivateKey ephemeral = make_key(KeyType::kEcP256);
  const Bytes content_key(32, 7);
  const auto shared = ecdh(ephemeral, key.public_key());
  ASSERT_TRUE(shared);
  const auto wrapping =
      concat_kdf(shared->view(), "ECDH-ES+A256KW", as_bytes("u"), as_bytes("v"), 32);
  const Json epk = to_jwk(ephemeral.public_key()).value();
  const std::string header = "{ \"epk\": " + epk.dump() +
                             ",\n \"apv\":\"dg\", \"apu\":\"dQ\", \"enc\": \"A256GCM\", "
                             "\"alg\": \"ECDH-ES+A256KW\" }";
  Jwe jwe;
  jwe.protected_header = to_base64url(as_bytes(header));
  jwe.encrypted_key = to_base64url(aes_key_wrap(wrapping->view(), content_key).value());
  const Bytes iv(12, 9);
  jwe.iv = to_base64url(iv);
  const auto sealed =
      gcm_encrypt(content_key, iv, as_bytes(jwe.protected_header), as_bytes(kSecret));
  ASSERT_TRUE(sealed);
  jwe.ciphertext = to_base64url(sealed->ciphertext);
  jwe.tag = to_base64url(sealed->tag);
  const auto plain = decrypt_jwe(key, jwe);
  ASSERT_TRUE(plain) << plain.error().to_string();
  EXPECT_EQ(as_text(plain->view()), kSecret);
}

TEST(Jwe, RefusesWhatWasChangedAndOtherKeys) {
  const PrivateKey key = make_key(KeyType::kEcP256);
  const auto jwe = encrypt_jwe(key.public_key(), as_bytes(kSecret));
  ASSERT_TRUE(jwe);
  const auto other = decrypt_jwe(make_key(KeyType::kEcP256), *jwe);
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code(), Code::kUnauthenticated);
  EXPECT_FALSE(decrypt_jwe(make_key(KeyType::kEcP521), *jwe));
  EXPECT_FALSE(decrypt_jwe(make_key(KeyType::kRsa), *jwe));
  for (auto field : {&Jwe::encrypted_key, &Jwe::iv, &Jwe::ciphertext, &Jwe::tag}) {
    Jwe changed = *jwe;
    changed.*field = (changed.*field).starts_with('A') ? "B" + (changed.*field).substr(1)
                                                       : "A" + (changed.*field).substr(1);
    EXPECT_FALSE(decrypt_jwe(key, changed));
  }
  Jwe spaced = *jwe;
  spaced.protected_header = to_base64url(as_bytes(header_of(*jwe) + " "));
  EXPECT_FALSE(decrypt_jwe(key, spaced)) << "the header is not authenticated";
}

struct RefusedHeader {
  const char* header;
  const char* why;
};

TEST(Jwe, RefusesHeadersThatAskForMore) {
  const PrivateKey key = make_key(KeyType::kEcP256);
  const RefusedHeader cases[] = {
      {R"({"alg":"ECDH-ES+A256KW","enc":"A128GCM"})", "'enc' is 'A128GCM'"},
      {R"({"alg":"ECDH-ES","enc":"A256GCM"})", "'alg' is 'ECDH-ES'"},
      {R"({"alg":"RSA1_5","enc":"A256GCM"})", "'alg' is 'RSA1_5'"},
      {R"({"alg":"ECDH-ES+A256KW","enc":"A256GCM"})", "no 'epk'"},
      {R"({"alg":"ECDH-ES+A256KW","enc":"A256GCM","zip":"DEF"})", "decompression"},
      {R"({"alg":"ECDH-ES+A256KW","enc":"A256GCM","crit":[]})", "critical"},
      {R"([])", "no object"},
  };
  for (const auto& test : cases) {
    Jwe jwe{.protected_header = to_base64url(as_bytes(test.header)),
            .encrypted_key = "AA",
            .iv = "AA",
            .ciphertext = "AA",
            .tag = "AA"};
    const auto plain = decrypt_jwe(key, jwe);
    ASSERT_FALSE(plain);
    EXPECT_NE(plain.error().to_string().find(test.why), std::string::npos)
        << plain.error().to_string();
  }
}

TEST(Jwe, RefusesOtherSerialisations) {
  EXPECT_FALSE(parse_jwe(R"({"protected":"","recipients":[],"iv":"","ciphertext":"","tag":""})"));
  EXPECT_FALSE(parse_jwe(
      R"({"protected":"","encrypted_key":"","iv":"","ciphertext":"","tag":"","aad":"AA"})"));
  EXPECT_FALSE(parse_jwe(R"({"protected":"","encrypted_key":"","iv":"","ciphertext":"","tag":1})"));
  EXPECT_FALSE(parse_jwe("a.b.c.d.e"));
}

// RFC 7518 appendix C: Alice's ephemeral key, Bob's key, and what both derive.
TEST(KeyAgreement, DerivesTheKeyOfRfc7518) {
  const auto alice = parse_private_jwk({{"kty", "EC"},
                                        {"crv", "P-256"},
                                        {"x", "gI0GAILBdu7T53akrFmMyGcsF3n5dO7MmwNBHKW5SV0"},
                                        {"y", "SLW_xSffzlPWrHEVI30DHM_4egVwt3NQqeUD7nMFpps"},
                                        {"d", "0_NxaRPUMQoAJt50Gz8YiTr8gRTwyEaCumd-MToTmIo"}});
  ASSERT_TRUE(alice) << alice.error().to_string();
  const auto bob = parse_jwk({{"kty", "EC"},
                              {"crv", "P-256"},
                              {"x", "weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ"},
                              {"y", "e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck"}});
  ASSERT_TRUE(bob) << bob.error().to_string();
  const auto shared = ecdh(*alice, bob->key);
  ASSERT_TRUE(shared);
  const auto key = concat_kdf(shared->view(), "A128GCM", as_bytes("Alice"), as_bytes("Bob"), 16);
  ASSERT_TRUE(key);
  EXPECT_EQ(to_base64url(key->view()), "VqqN6vgjbSBcIijNcacQGg");
}

// RFC 3394 section 4.6.
TEST(KeyWrap, WrapsAsRfc3394Does) {
  const Bytes key =
      from_hex("000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F").value();
  const Bytes secret =
      from_hex("00112233445566778899AABBCCDDEEFF000102030405060708090A0B0C0D0E0F").value();
  const auto wrapped = aes_key_wrap(key, secret);
  ASSERT_TRUE(wrapped);
  EXPECT_EQ(to_hex(*wrapped),
            "28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21");
  EXPECT_EQ(to_hex(aes_key_unwrap(key, *wrapped)->view()), to_hex(secret));
  EXPECT_FALSE(aes_key_unwrap(secret, *wrapped));
  EXPECT_FALSE(aes_key_unwrap(key, BytesView(*wrapped).first(32)));
}

}  // namespace
}  // namespace coffer::jose
