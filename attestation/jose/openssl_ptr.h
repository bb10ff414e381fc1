// Owners of OpenSSL's objects, for this folder's .cc files.
#pragma once

#include <openssl/bn.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include <memory>

namespace coffer::jose {

template <auto Free>
struct OpensslDeleter {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
template <typename T, auto Free>
using OpensslPtr = std::unique_ptr<T, OpensslDeleter<Free>>;

using PkeyContext = OpensslPtr<EVP_PKEY_CTX, EVP_PKEY_CTX_free>;
using MdContext = OpensslPtr<EVP_MD_CTX, EVP_MD_CTX_free>;
using CipherContext = OpensslPtr<EVP_CIPHER_CTX, EVP_CIPHER_CTX_free>;
using BigNum = OpensslPtr<BIGNUM, BN_clear_free>;
using EcdsaSig = OpensslPtr<ECDSA_SIG, ECDSA_SIG_free>;

// OpenSSL leaves its reasons in a queue of the thread; ours are in the Error instead.
struct ClearErrors {
  ClearErrors() = default;
  ClearErrors(const ClearErrors&) = delete;
  ClearErrors& operator=(const ClearErrors&) = delete;
  ~ClearErrors() { ERR_clear_error(); }
};

}  // namespace coffer::jose
