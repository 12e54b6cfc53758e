-- Skills: each stored once by its content, found by id, tag, words and misspelt words.

create or replace function guildhall.skill_trigrams(p_word text) returns text[]
language sql immutable strict set search_path = '' as $$
    select array_agg(distinct substr('  ' || p_word || ' ', i, 3))
    from generate_series(1, length(p_word) + 1) i;
$$;
comment on function guildhall.skill_trigrams(text) is
    'Internal. The trigrams of a word, padded as pg_trgm pads it: two blanks before and one after.';

create or replace function guildhall.skill_plain(p_text text) returns text
language sql immutable strict set search_path = '' as $$
    -- review_change, review-change, review.change and reviewChange are the words review and change.
    select p_text || ' ' || regexp_replace(regexp_replace(p_text, '([a-z])([A-Z])', '\1 \2', 'g'), '[_./:-]+', ' ', 'g');
$$;
comment on function guildhall.skill_plain(text) is 'Internal. An id or tag as it is, and as the words it is made of.';

create or replace function guildhall.skill_document(p_skill jsonb) returns tsvector
language sql immutable set search_path = '' as $$
    select setweight(to_tsvector('pg_catalog.english',
            guildhall.skill_plain(p_skill ->> 'id') || ' ' || coalesce(p_skill ->> 'name', '')), 'A')
        || setweight(to_tsvector('pg_catalog.english', coalesce((
            select string_agg(guildhall.skill_plain(t.value), ' ')
            from jsonb_array_elements_text(p_skill -> 'tags') t), '')), 'B')
        || setweight(to_tsvector('pg_catalog.english', coalesce(p_skill ->> 'description', '')), 'C')
        || setweight(to_tsvector('pg_catalog.english', coalesce((
            select string_agg(e.value, ' ') from jsonb_array_elements_text(p_skill -> 'examples') e), '')), 'D');
$$;
comment on function guildhall.skill_document(jsonb) is
    'Internal. What a skill is found by: id and name (A), tags (B), description (C), examples (D).';

create or replace function guildhall.skill_store(p_skill jsonb) returns bigint
language plpgsql volatile set search_path = '' as $$
declare
    v_digest text := encode(sha256(convert_to(p_skill::text, 'UTF8')), 'hex');
    v_id text := guildhall.ensure_field_text(p_skill, 'id', 200);
    v_tags text[];
    v_no bigint;
begin
    select s.skill_no into v_no from guildhall.skills s where s.digest = v_digest;
    if found then
        return v_no;
    end if;
    if coalesce(jsonb_typeof(p_skill -> 'tags'), 'array') <> 'array'
        or coalesce(jsonb_typeof(p_skill -> 'examples'), 'array') <> 'array'
    then
        raise exception using errcode = 'GH001', message = format('tags and examples of skill %s must be arrays', v_id);
    end if;
    select coalesce(array_agg(distinct t.value order by t.value), '{}') into v_tags
    from jsonb_array_elements_text(p_skill -> 'tags') t;
    insert into guildhall.skills (digest, id, content, tags, document)
    values (v_digest, v_id, p_skill, v_tags, guildhall.skill_document(p_skill))
    on conflict (digest) do nothing
    returning skills.skill_no into v_no;
    if v_no is null then
        -- Another registration stored it while this one waited for it.
        select s.skill_no into strict v_no from guildhall.skills s where s.digest = v_digest;
        return v_no;
    end if;
    return v_no;
end;
$$;
comment on function guildhall.skill_store(jsonb) is
    'Internal. The number of the skill with this content, which is stored when it is new.';

create or replace function guildhall.skill_corrected(p_query text) returns text
language sql stable set search_path = '' as $$
    select string_agg(coalesce(best.word, w.word), ' ' order by w.position)
    from regexp_matches(lower(p_query), '[[:alpha:]]{3,40}', 'g') with ordinality m (found, position)
    cross join lateral (select m.found[1] as word, m.position) w
    left join lateral (
        select k.word
        from guildhall.skill_words k
        cross join lateral (
            select count(*)::float8 as shared from unnest(k.trigrams) t (trigram)
            where t.trigram = any (guildhall.skill_trigrams(w.word))
        ) c
        where k.trigrams && guildhall.skill_trigrams(w.word)
            -- The share of common trigrams that pg_trgm calls similarity; two letters swapped leave a quarter.
            and c.shared / (cardinality(k.trigrams) + cardinality(guildhall.skill_trigrams(w.word)) - c.shared) >= 0.25
        order by c.shared / (cardinality(k.trigrams) + cardinality(guildhall.skill_trigrams(w.word)) - c.shared) desc,
            k.word
        limit 1
    ) best on true;
$$;
comment on function guildhall.skill_corrected(text) is
    'Internal. The query with each word replaced by the most similar word that any skill has.';

create or replace function guildhall.skill_query(p_query text, p_mode text) returns tsquery
language plpgsql stable set search_path = '' as $$
begin
    if p_mode = 'all' then
        return plainto_tsquery('pg_catalog.english', p_query);
    end if;
    return (
        select string_agg('''' || replace(replace(u.lexeme, '\', '\\'), '''', '''''') || '''', ' | ')::tsquery
        from unnest(to_tsvector('pg_catalog.english',
            case when p_mode = 'similar' then coalesce(guildhall.skill_corrected(p_query), '') else p_query end)) u);
end;
$$;
comment on function guildhall.skill_query(text, text) is
    'Internal. A search: for all words of the query, for any of them, or for any word similar to one of them.';
