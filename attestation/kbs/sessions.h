// Handshakes without a server's memory. The cookie itself carries the challenge, signed with a key
// that lies in the store: any server that shares the store can finish what another began. That a
// challenge is spent once is the store's matter: the first to insert it wins.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "attestation/protocol/tee_name.h"
#include "attestation/store/store.h"
#include "base/error.h"
#include "base/secret.h"

namespace coffer::kbs {

struct Session {
  std::string id;     // of the challenge, for the store
  std::string nonce;  // base64 of 32 random bytes
  protocol::Tee tee = protocol::Tee::kSample;
  store::UnixTime expires = 0;
};

// Thread-safe.
class Sessions {
 public:
  // Takes the key from the store, or makes it there. `store` must outlive it. `lifetime` in
  // seconds.
  [[nodiscard]] static Result<Sessions> open(store::Store& store, store::UnixTime lifetime);

  [[nodiscard]] Session begin(protocol::Tee tee, store::UnixTime now) const;
  // The cookie's value.
  [[nodiscard]] std::string seal(const Session& session) const;
  // kUnauthenticated when it is not ours, or has expired: the message says which.
  [[nodiscard]] Result<Session> unseal(std::string_view value, store::UnixTime now) const;

  // Spends the challenge; `token` is what the session has from then on, empty when it was refused.
  // False: it was spent before.
  [[nodiscard]] Result<bool> spend(const Session& session, std::string_view token);
  // Nothing: not spent yet.
  [[nodiscard]] Result<std::optional<std::string>> token(const Session& session);
  [[nodiscard]] store::UnixTime lifetime() const { return lifetime_; }

 private:
  Sessions(store::Store& store, store::UnixTime lifetime, SecretBytes key)
      : store_(&store), lifetime_(lifetime), key_(std::move(key)) {}
  [[nodiscard]] Bytes mac(std::string_view text) const;

  store::Store* store_;
  store::UnixTime lifetime_;
  SecretBytes key_;
};

}  // namespace coffer::kbs
