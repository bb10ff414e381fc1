#include "attestation/guest_api/sealed_secret.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "attestation/jose/jwk.h"
#include "attestation/jose/jws.h"
#include "attestation/jose/key_wrap.h"
#include "base/fd.h"

namespace coffer::guest_api {
namespace {

using Json = nlohmann::json;

class SealedSecret : public testing::Test {
 protected:
  SealedSecret() {
    resources_["resource/keys/signing/1"] = jose::to_jwk(key_.public_key())->dump();
    resources_["resource/default/db/password"] = "hunter2";
    resources_["resource/keys/kek/1"] = std::string(32, 'k');
  }

  [[nodiscard]] FetchResource fetch() {
    return [this](const protocol::ResourceUri& uri) -> Result<SecretBytes> {
      fetched_.push_back(uri.request_path());
      const auto at = resources_.find(uri.request_path());
      if (at == resources_.end()) return fail(Code::kNotFound, "no such resource");
      return SecretBytes(to_bytes(at->second));
    };
  }

  [[nodiscard]] std::string seal(const Json& payload,
                                 const Json& header = {{"kid", "kbs:///keys/signing/1"}}) const {
    return "sealed." + jose::sign_jws(key_, header, payload.dump()).value();
  }

  [[nodiscard]] static Json vault(const char* name = "kbs:///default/db/password") {
    return {{"version", "0.1.0"}, {"type", "vault"},         {"provider", "kbs"},
            {"name", name},       {"provider_settings", {}}, {"annotations", {}}};
  }

  jose::PrivateKey key_ = jose::PrivateKey::generate(jose::KeyType::kEcP256).value();
  std::map<std::string, std::string> resources_;
  std::vector<std::string> fetched_;
};

TEST_F(SealedSecret, OfAVaultIsTheResourceItNames) {
  const auto secret = unseal(seal(vault()) + "\n", fetch(), {});
  ASSERT_TRUE(secret) << secret.error().to_string();
  EXPECT_EQ(as_text(secret->view()), "hunter2");
  EXPECT_EQ(fetched_,
            (std::vector<std::string>{"resource/keys/signing/1", "resource/default/db/password"}));
}

TEST_F(SealedSecret, OfAnEnvelopeIsOpenedWithTheBrokersKey) {
  const Bytes data_key(32, 'd');
  const Bytes iv(12, 'i');
  const auto wrapped = jose::gcm_encrypt(Bytes(32, 'k'), iv, {}, data_key);
  const auto data = jose::gcm_encrypt(data_key, iv, {}, as_bytes("in the envelope"));
  Bytes encrypted_key = iv;
  encrypted_key.insert(encrypted_key.end(), wrapped->ciphertext.begin(), wrapped->ciphertext.end());
  encrypted_key.insert(encrypted_key.end(), wrapped->tag.begin(), wrapped->tag.end());
  Bytes encrypted_data = data->ciphertext;
  encrypted_data.insert(encrypted_data.end(), data->tag.begin(), data->tag.end());
  Json payload = {{"version", "0.1.0"},
                  {"type", "envelope"},
                  {"provider", "kbs"},
                  {"key_id", "kbs:///keys/kek/1"},
                  {"encrypted_key", to_base64(encrypted_key)},
                  {"encrypted_data", to_base64(encrypted_data)},
                  {"wrap_type", "A256GCM"},
                  {"iv", to_base64(iv)}};
  const auto secret = unseal(seal(payload), fetch(), {});
  ASSERT_TRUE(secret) << secret.error().to_string();
  EXPECT_EQ(as_text(secret->view()), "in the envelope");
  encrypted_data.back() ^= 1U;
  payload["encrypted_data"] = to_base64(encrypted_data);
  EXPECT_FALSE(unseal(seal(payload), fetch(), {}));
  payload["wrap_type"] = "A256CTR";
  EXPECT_EQ(unseal(seal(payload), fetch(), {}).error().code(), Code::kUnimplemented);
}

TEST_F(SealedSecret, OfAnotherSignerIsRefusedBeforeAnythingIsFetched) {
  const auto other = jose::PrivateKey::generate(jose::KeyType::kEcP256);
  resources_["resource/keys/signing/1"] = jose::to_jwk(other->public_key())->dump();
  const auto secret = unseal(seal(vault()), fetch(), {});
  ASSERT_FALSE(secret);
  EXPECT_EQ(secret.error().code(), Code::kUnauthenticated);
  EXPECT_EQ(fetched_, std::vector<std::string>{"resource/keys/signing/1"});
}

TEST_F(SealedSecret, TakesItsKeyFromAFileToo) {
  const auto folder =
      std::filesystem::path(testing::TempDir()) / ("coffer-sealed-" + std::to_string(::getpid()));
  std::filesystem::create_directories(folder);
  ASSERT_TRUE(write_file(folder / "signer.jwk", resources_["resource/keys/signing/1"]));
  const UnsealRules rules{.key_folder = folder};
  EXPECT_TRUE(unseal(seal(vault(), {{"kid", "signer.jwk"}}), fetch(), rules));
  for (const char* kid : {"../signer.jwk", "/signer.jwk", "", "."}) {
    EXPECT_FALSE(unseal(seal(vault(), {{"kid", kid}}), fetch(), rules)) << kid;
  }
  std::filesystem::remove_all(folder);
}

TEST_F(SealedSecret, WithoutVerificationNeedsOnlyAPayload) {
  const std::string text =
      "sealed.fakejwsheader." + to_base64url(as_bytes(vault().dump())) + ".fakesignature";
  EXPECT_FALSE(unseal(text, fetch(), {}));
  const auto secret = unseal(text, fetch(), {.skip_verification = true});
  ASSERT_TRUE(secret) << secret.error().to_string();
  EXPECT_EQ(as_text(secret->view()), "hunter2");
  EXPECT_FALSE(unseal(text + ".x", fetch(), {.skip_verification = true}));
}

TEST_F(SealedSecret, SaysWhatIsWrongWithOthers) {
  const auto with = [](const char* name, const char* value) {
    Json payload = vault();
    payload[name] = value;
    return payload;
  };
  const std::pair<std::string, const char*> cases[] = {
      {"plain text", "does not begin with 'sealed.'"},
      {"sealed.x", "three parts"},
      {seal(with("version", "0.2.0")), "version '0.2.0'"},
      {seal(with("type", "box")), "type 'box'"},
      {seal(with("provider", "aliyun")), "provider 'aliyun' is not supported"},
      {seal(with("name", "/etc/shadow")), "want kbs:///"},
      {seal(with("name", "kbs:///no/such/thing")), "no such resource"},
      {seal(Json::array()), "no object"},
  };
  for (const auto& [text, why] : cases) {
    const auto secret = unseal(text, fetch(), {});
    ASSERT_FALSE(secret) << text;
    EXPECT_NE(secret.error().to_string().find(why), std::string::npos)
        << secret.error().to_string();
  }
  const auto rsa = jose::PrivateKey::generate(jose::KeyType::kRsa);
  const auto text = "sealed." + jose::sign_jws(*rsa, {{"kid", "x"}}, vault().dump()).value();
  EXPECT_NE(unseal(text, fetch(), {}).error().to_string().find("want ES256"), std::string::npos);
}

}  // namespace
}  // namespace coffer::guest_api
