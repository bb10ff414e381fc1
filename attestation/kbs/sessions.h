// Handshakes without a server's memory. The cookie itself carries the challenge, signed with a key
// that lies in the store: any server that shares the store can finish what another began. That a
// challenge is spent once is the store's matter: the first to insert it wins. Only challenges that
// verified evidence has answered are kept there, and only so many of them.
#pragma once

#include <memory>
#include <mutex>
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

// Whom the policy does not affirm may be anybody: evidence that verifies, a TPM in software makes
// too. A half of the sessions, at most, are theirs.
enum class Standing : bool { kOther, kAffirmed };

// Thread-safe.
class Sessions {
 public:
  // Takes the key from the store, or makes it there. `store` must outlive it. `lifetime` in
  // seconds. `limit`: how many sessions may be open at a time, of this server and, as far as it
  // knows, the others of the store.
  [[nodiscard]] static Result<Sessions> open(store::Store& store, store::UnixTime lifetime,
                                             std::size_t limit = 20000);

  [[nodiscard]] Session begin(protocol::Tee tee, store::UnixTime now) const;
  // The cookie's value.
  [[nodiscard]] std::string seal(const Session& session) const;
  // kUnauthenticated when it is not ours, or has expired: the message says which.
  [[nodiscard]] Result<Session> unseal(std::string_view value, store::UnixTime now) const;

  // The writes that spend the challenge; `token` is what the session has from then on. Their
  // condition does not hold when the challenge was spent before. kUnavailable: there are as many
  // sessions as there may be, or as may be of that standing.
  [[nodiscard]] Result<std::vector<store::Write>> spend(const Session& session,
                                                        std::string_view token, Standing standing,
                                                        store::UnixTime now);
  // Nothing: not spent yet.
  [[nodiscard]] Result<std::optional<std::string>> token(const Session& session);
  [[nodiscard]] store::UnixTime lifetime() const { return lifetime_; }

 private:
  // How many sessions there are at most: those that were counted, and ours since then.
  struct Usage {
    std::mutex mutex;
    std::size_t known = 0;
    std::size_t others = 0;  // of `known`, those of Standing::kOther
    std::optional<store::UnixTime> counted;
  };

  Sessions(store::Store& store, store::UnixTime lifetime, std::size_t limit, SecretBytes key)
      : store_(&store), lifetime_(lifetime), limit_(limit), key_(std::move(key)) {}
  [[nodiscard]] Bytes mac(std::string_view text) const;
  [[nodiscard]] Status take_place(Standing standing, store::UnixTime now);

  store::Store* store_;
  store::UnixTime lifetime_;
  std::size_t limit_;
  SecretBytes key_;
  std::unique_ptr<Usage> usage_ = std::make_unique<Usage>();
};

}  // namespace coffer::kbs
