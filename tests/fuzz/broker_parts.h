// What the broker and the attestation service stand on, for fuzz targets: the default policies, and
// an administrator whose key nobody has.
#pragma once

#include "attestation/jose/key.h"
#include "attestation/kbs/admin_auth.h"
#include "attestation/kbs/metrics.h"
#include "attestation/service/service.h"
#include "tests/fuzz/memory_store.h"

namespace coffer::fuzz {

inline store::UnixTime fixed_time() { return 1'800'000'000; }

struct BrokerParts {
  BrokerParts() { check(policies.install_defaults().has_value(), "install policies"); }

  MemoryStore store;
  rv::ValueSet values{store};
  appraisal::Policies policies{store, values};
  appraisal::Records records{store, 100};
  appraisal::EvidenceVerifier verifier{[] {
    appraisal::TrustConfig config;
    config.allow_sample = true;
    return config;
  }()};
  appraisal::TokenSigner signer{
      *appraisal::TokenSigner::make(*jose::PrivateKey::generate(jose::KeyType::kEcP256), {})};
  appraisal::AttestationService service{verifier, policies, records, signer};
  kbs::AdminAuth admin{{jose::PrivateKey::generate(jose::KeyType::kEd25519)->public_key()}};
  kbs::Metrics metrics;
};

}  // namespace coffer::fuzz
