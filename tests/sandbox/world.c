/*
 * SPDX-License-Identifier: ISC
 *
 * world - the made-up account: its clients, users, documents and files.
 *
 * Knows nothing of events, links or HTTP.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

#define INDEX_MIN 1024
#define WORDS (sizeof(types) / sizeof(types[0]))

struct list {
	struct obj *o;
	uint32_t n, cap;
	uint32_t last;  /* none after it is alive */
	uint32_t *slot; /* open addressing: number of the object, 0 free */
	uint32_t slots;
};

struct world {
	uint64_t seed, document_size;
	char account[HASH_MAX + 1];
	int64_t created, updated;
	struct list list[OBJ_N];
	struct file *file;
	uint32_t files, file_cap;
};

static const char *const types[] = {
    "WILL-1", "WILL-2", "TRUST-1", "EPA-PROPERTY", "EPA-CARE", "WISHES-1"};
static const char *const titles[] = {"Test Will", "Test Mirror Will", "Test Trust Deed",
    "Test EPA", "Test EPA Care", "Test Wishes"};

static int64_t
now_s(void)
{
	return clock_utc_us() / 1000000;
}

struct world *
world_new(uint64_t seed, const char *account, uint64_t document_size)
{
	struct world *w = mem_new(1, sizeof(*w));

	w->seed = seed;
	w->document_size = document_size;
	w->created = w->updated = now_s();
	text_copy(w->account, sizeof(w->account), account);
	return w;
}

void
world_free(struct world **w)
{
	size_t i;

	if (*w == NULL)
		return;
	for (i = 0; i < OBJ_N; i++) {
		free((*w)->list[i].o);
		free((*w)->list[i].slot);
	}
	free((*w)->file);
	free(*w);
	*w = NULL;
}

static uint32_t
hash(const char *id)
{
	uint32_t h = 2166136261u;

	for (; *id != '\0'; id++)
		h = (h ^ (unsigned char)*id) * 16777619u;
	return h;
}

static void
index_put(struct list *l, uint32_t i)
{
	uint32_t k = hash(l->o[i].id) & (l->slots - 1);

	while (l->slot[k] != 0)
		k = (k + 1) & (l->slots - 1);
	l->slot[k] = i;
}

static void
index_grow(struct list *l)
{
	uint32_t i;

	if (l->slots / 2 > l->n + 1)
		return;
	l->slots = l->slots == 0 ? INDEX_MIN : l->slots * 2;
	free(l->slot);
	l->slot = mem_new(l->slots, sizeof(*l->slot));
	for (i = 1; i < l->n; i++)
		index_put(l, i);
}

uint32_t
world_make(struct world *w, enum obj_type type, uint32_t owner)
{
	struct list *l = &w->list[type];
	struct obj *o;

	if (l->n == 0)
		l->n = 1;
	if (l->n >= l->cap) {
		l->cap = l->cap == 0 ? 256 : l->cap * 2;
		l->o = mem_grow(l->o, l->cap, sizeof(*l->o));
	}
	index_grow(l);
	o = &l->o[l->n];
	memset(o, 0, sizeof(*o));
	id_hash(o->id, w->seed, 0x6f626a + (uint64_t)type, l->n);
	o->owner = owner;
	o->version = 1;
	o->created = o->updated = now_s();
	index_put(l, l->n);
	l->last = l->n;
	return l->n++;
}

static struct obj *
get(const struct world *w, enum obj_type type, uint32_t i)
{
	return i > 0 && i < w->list[type].n ? &w->list[type].o[i] : NULL;
}

const struct obj *
world_get(const struct world *w, enum obj_type type, uint32_t i)
{
	return get(w, type, i);
}

/* An update within the same second is seen as a later one. */
static int64_t
later(int64_t before)
{
	int64_t now = now_s();

	return now > before ? now : before + 1;
}

void
world_touch(struct world *w, enum obj_type type, uint32_t i)
{
	struct obj *o = get(w, type, i);

	if (o == NULL)
		return;
	o->version++;
	o->updated = later(o->updated);
}

void
world_touch_account(struct world *w)
{
	w->updated = later(w->updated);
}

void
world_remove(struct world *w, enum obj_type type, uint32_t i)
{
	struct obj *o = get(w, type, i);

	if (o != NULL)
		o->gone = true;
}

uint32_t
world_find(const struct world *w, enum obj_type type, const char *id)
{
	const struct list *l = &w->list[type];
	uint32_t k;

	if (l->slots == 0)
		return 0;
	for (k = hash(id) & (l->slots - 1); l->slot[k] != 0; k = (k + 1) & (l->slots - 1)) {
		if (strcmp(l->o[l->slot[k]].id, id) == 0)
			return l->slot[k];
	}
	return 0;
}

uint32_t
world_last(struct world *w, enum obj_type type, uint32_t owner, bool file)
{
	struct list *l = &w->list[type];
	uint32_t i;

	while (l->last > 0 && l->o[l->last].gone)
		l->last--;
	for (i = l->last; i > 0; i--) {
		if (!l->o[i].gone && (owner == 0 || l->o[i].owner == owner) &&
		    (!file || l->o[i].file != 0))
			return i;
	}
	return 0;
}

uint32_t
world_number(const struct world *w, enum obj_type type)
{
	return w->list[type].n > 0 ? w->list[type].n - 1 : 0;
}

static size_t
document_kind(const struct world *w, uint32_t document)
{
	return draw(w->seed, 0x74797065, document) % WORDS;
}

const char *
world_document_type(const struct world *w, uint32_t document)
{
	return types[document_kind(w, document)];
}

void
world_file_name(const struct world *w, uint32_t document, char out[NAME_SIZE])
{
	snprintf(
	    out, NAME_SIZE, "%s pack %u.pdf", titles[document_kind(w, document)], document);
}

uint32_t
world_by_name(const struct world *w, const char *name)
{
	const char *number = strrchr(name, ' ');
	const struct obj *o;
	char digits[16], own[NAME_SIZE];
	long long i;
	size_t n;

	if (number == NULL || (n = strspn(++number, "0123456789")) >= sizeof(digits))
		return 0;
	memcpy(digits, number, n);
	digits[n] = '\0';
	if (!num_parse(digits, 1, UINT32_MAX, &i))
		return 0;
	if ((o = world_get(w, OBJ_DOCUMENT, (uint32_t)i)) == NULL || o->gone)
		return 0;
	world_file_name(w, (uint32_t)i, own);
	return strcmp(own, name) == 0 ? (uint32_t)i : 0;
}

uint32_t
world_upload(struct world *w, uint32_t document)
{
	struct obj *o = get(w, OBJ_DOCUMENT, document);
	const struct file *before;
	struct file *f;
	struct pdf pdf;

	if (o == NULL)
		return 0;
	if (w->files == 0)
		w->files = 1;
	if (w->files >= w->file_cap) {
		w->file_cap = w->file_cap == 0 ? 256 : w->file_cap * 2;
		w->file = mem_grow(w->file, w->file_cap, sizeof(*w->file));
	}
	before = world_file(w, o->file);
	f = &w->file[w->files];
	memset(f, 0, sizeof(*f));
	f->document = document;
	f->version = before != NULL ? before->version + 1 : 1;
	f->made = now_s();
	f->size = w->document_size;
	if (f->size == 0)
		f->size = PDF_MIN + draw(w->seed, 0x73697a65, w->files) % 6144;
	o->file = w->files++;
	o->updated = later(o->updated);
	world_pdf(w, o->file, &pdf);
	if (!digest(pdf_read, &pdf, f->size, f->sha, f->md5))
		f->sha[0] = f->md5[0] = '\0';
	return o->file;
}

const struct file *
world_file(const struct world *w, uint32_t file)
{
	return file > 0 && file < w->files ? &w->file[file] : NULL;
}

void
world_pdf(const struct world *w, uint32_t file, struct pdf *out)
{
	const struct file *f = world_file(w, file);
	char name[NAME_SIZE], line[NAME_SIZE + 32];

	world_file_name(w, f->document, name);
	snprintf(line, sizeof(line), "%s, version %u", name, f->version);
	pdf_make(out, draw(w->seed, 0x706466, file), line, f->size);
}

static void
times(struct buf *out, int64_t created, int64_t updated)
{
	char a[TIME_SIZE], b[TIME_SIZE];

	time_iso(a, created * 1000000, 0);
	time_iso(b, updated * 1000000, 0);
	buf_fmt(out, ",\"createdOn\":\"%s\",\"updatedOn\":\"%s\"}", a, b);
}

static void
address(struct buf *out, const char *member, unsigned number)
{
	buf_fmt(out,
	    "\"%s\":{\"street\":\"%u Example Street\",\"suburb\":\"Sampleton\","
	    "\"city\":\"Testville\",\"region\":\"Nowhere\",\"postcode\":\"%04u\","
	    "\"country\":\"NZ\"}",
	    member, number % 200 + 1, number % 9000 + 1000);
}

void
world_account(const struct world *w, struct buf *out)
{
	buf_str(out, "{\"hashId\":");
	buf_json(out, w->account);
	buf_str(out, ",\"name\":\"Test Firm\",\"businessType\":\"Law firm\","
		     "\"companyType\":\"Limited\",\"country\":\"NZ\",");
	address(out, "address", 1);
	buf_str(out, ",\"email\":\"office@firm.invalid\",\"telephone\":\"+64 0 000 0000\","
		     "\"operatesAs\":\"Company\",\"practiceAppointment\":true,"
		     "\"practiceName\":\"Test Practice\",");
	address(out, "practiceAddress", 2);
	buf_str(out, ",\"practiceTelephone\":\"+64 0 000 0001\","
		     "\"practiceEmail\":\"practice@firm.invalid\",\"trustAppointment\":false,"
		     "\"trustName\":\"Test Trustees\",");
	address(out, "trustAddress", 3);
	buf_str(out, ",\"trustTelephone\":\"+64 0 000 0002\","
		     "\"trustEmail\":\"trust@firm.invalid\"");
	times(out, w->created, w->updated);
}

void
world_client(const struct world *w, uint32_t i, struct buf *out)
{
	const struct obj *o = world_get(w, OBJ_CLIENT, i);

	if (o == NULL)
		return;
	buf_fmt(out,
	    "{\"hashId\":\"%s\",\"firstName\":\"Test\",\"lastName\":\"Client %u\","
	    "\"name\":\"Test Client %u\",\"email\":\"client%u@example.invalid\",",
	    o->id, i, i, i);
	if (i % 2 == 0)
		buf_fmt(out,
		    "\"application\":\"CRM\",\"extensionData\":{\"CRMModel\":\"Contact\","
		    "\"CRMClientId\":\"C-%u\",\"CRMMatterId\":[\"M-%u\",\"M-%u\"]},",
		    i, i * 2, i * 2 + 1);
	else
		buf_str(out, "\"application\":\"ARKEN\",\"extensionData\":{"
			     "\"preferred\":\"Test\",\"referred\":\"Nobody\"},");
	buf_fmt(out,
	    "\"preferredContactMethod\":\"%s\",\"dateOfBirth\":\"%02u/%02u/19%02u\","
	    "\"revision\":%u,",
	    i % 3 == 0 ? "Post" : "Email", i % 28 + 1, i % 12 + 1, 40 + i % 50, o->version);
	address(out, "address", i);
	times(out, o->created, o->updated);
}

void
world_user(const struct world *w, uint32_t i, struct buf *out)
{
	const struct obj *o = world_get(w, OBJ_USER, i);

	if (o == NULL)
		return;
	buf_fmt(out,
	    "{\"hashId\":\"%s\",\"name\":\"Test User %u\",\"email\":\"user%u@firm.invalid\","
	    "\"role\":\"%s\",\"active\":true,\"revision\":%u",
	    o->id, i, i, i % 4 == 0 ? "Administrator" : "Adviser", o->version);
	times(out, o->created, o->updated);
}

void
world_document(const struct world *w, uint32_t i, struct buf *out)
{
	const struct obj *o = world_get(w, OBJ_DOCUMENT, i);
	const struct obj *client;

	if (o == NULL)
		return;
	client = world_get(w, OBJ_CLIENT, o->owner);
	buf_fmt(out,
	    "{\"hashId\":\"%s\",\"clientHashId\":\"%s\",\"documentType\":\"%s\","
	    "\"status\":\"%s\",\"revision\":%u,\"answers\":{\"executors\":[\"Test Person %u\"],"
	    "\"signedOn\":\"%u March 2026\"}",
	    o->id, client != NULL ? client->id : "", world_document_type(w, i),
	    o->file != 0 ? "Complete" : "Draft", o->version, i + 1, i % 28 + 1);
	times(out, o->created, o->updated);
}
